extern int json_floor_is_empty;
