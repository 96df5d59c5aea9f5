"""What a packet is to the switch: field table, keys, masks, matches, parsing, composing, text."""
