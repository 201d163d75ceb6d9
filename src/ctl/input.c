#include "ctl/input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int read_stream(FILE *in, const char *name, struct buf *ret, struct fault *fault)
{
	static char block[1 << 16];
	for (size_t n = 1; n > 0 && buf_ok(ret);) {
		errno = 0;
		n = fread(block, 1, sizeof(block), in);
		buf_add(ret, block, n);
	}
	if (ferror(in))
		return fault_set(fault, -EIO, FAULT_OURS, "%.128s: cannot be read: %s", name,
				 strerror(errno ? errno : EIO));
	if (!buf_ok(ret))
		return fault_set(fault, -EFBIG, FAULT_OURS, "%.128s: is over %zu MiB, or does not fit into memory",
				 name, INPUT_MAX_BYTES >> 20);
	return 0;
}

int input_read(const char *file, struct buf *ret, struct fault *fault)
{
	if (!strcmp(file, "-"))
		return read_stream(stdin, "standard input", ret, fault);
	FILE *in = fopen(file, "rbe");
	if (!in)
		return fault_set(fault, -errno, FAULT_OURS, "%.128s: cannot be read: %s", file, strerror(errno));
	const int r = read_stream(in, file, ret, fault);
	fclose(in);
	return r;
}
