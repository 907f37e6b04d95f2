/* All weights are int8. */
#define LANES(c, pixels, rest) BLOCK
#define work_size(c) 0
#define open_layer(c, work, n) ((void)(work))
