extern int rules_floor_is_empty;
