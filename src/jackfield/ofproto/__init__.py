"""OpenFlow switches: tables, rules, ports and connections; `provider` is the contract with what moves packets."""
