from jackfield.ofproto.tables import N_TABLES, Table, TableMiss


def test_a_fresh_table_is_empty_and_unlimited() -> None:
    table = Table(N_TABLES - 1)
    assert (table.table_id, table.n_flows, table.max_flows, table.name, len(table.classifier)) == (253, 0, None, "", 0)
    assert table.miss is TableMiss.DEFAULT
    assert table.lookups == table.matches == 0
