#include "sim/witness.h"

struct witness witness;
