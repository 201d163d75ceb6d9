extern int base_floor_is_empty;
