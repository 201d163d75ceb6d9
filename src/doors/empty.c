extern int doors_floor_is_empty;
