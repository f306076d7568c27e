/* Runs a frozen network on raw arrays.
 *
 *   predict net.densa ROWS INPUT... OUTPUT...
 *
 * One file for each input and output, in the network's order: row-major numbers of its dtype, as
 * numpy.ndarray.tofile writes them. */
#include <densa.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST 16

static int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, densa_last_error());
  return 1;
}

/* The file's bytes in fresh memory, which is larger than that by one byte; NULL: not as many. */
static void* read_file(const char* path, size_t bytes) {
  FILE* file = fopen(path, "rb");
  char* data = malloc(bytes + 1);
  if (file != NULL && data != NULL && fread(data, 1, bytes + 1, file) != bytes) {
    free(data);
    data = NULL;
  }
  if (file == NULL) {
    free(data);
    data = NULL;
  } else {
    fclose(file);
  }
  return data;
}

static int write_file(const char* path, const void* data, size_t bytes) {
  FILE* file = fopen(path, "wb");
  size_t written = 0;
  if (file == NULL) return 0;
  written = fwrite(data, 1, bytes, file);
  return fclose(file) == 0 && written == bytes;
}

int main(int argc, char** argv) {
  densa_model* model = NULL;
  densa_session* session = NULL;
  densa_session_options options = DENSA_SESSION_OPTIONS_INIT;
  densa_tensor_info info = DENSA_TENSOR_INFO_INIT;
  void *in[MOST] = {0}, *out[MOST] = {0};
  const void* const* inputs = (const void* const*)in;
  size_t i, ins, outs;
  long rows;
  int result = 1;

  if (argc < 3) return fprintf(stderr, "predict net.densa ROWS INPUT... OUTPUT...\n"), 2;
  rows = strtol(argv[2], NULL, 10);
  if (densa_abi_version() != DENSA_ABI_VERSION) return fail("another version of libdensa_predict");
  if (densa_model_load(argv[1], NULL, &model) != DENSA_OK) return fail("load");
  ins = densa_model_inputs(model);
  outs = densa_model_outputs(model);
  if (ins > MOST || outs > MOST || (size_t)argc != 3 + ins + outs || rows < 1) {
    fprintf(stderr, "%lu inputs and %lu outputs expected\n", (unsigned long)ins,
            (unsigned long)outs);
    goto end;
  }
  for (i = 0; i < ins; ++i) {
    densa_model_input(model, i, &info);
    in[i] = read_file(argv[3 + i], (size_t)rows * info.row_bytes);
    if (in[i] == NULL) {
      fprintf(stderr, "%s: not %ld rows of '%s', of %lu bytes each\n", argv[3 + i], rows, info.name,
              (unsigned long)info.row_bytes);
      goto end;
    }
  }
  for (i = 0; i < outs; ++i) {
    densa_model_output(model, i, &info);
    out[i] = malloc((size_t)rows * info.row_bytes + 1);
    if (out[i] == NULL) goto end;
  }

  options.max_rows = rows;
  if (densa_session_create(model, &options, &session) != DENSA_OK ||
      densa_run(session, inputs, out, rows) != DENSA_OK) {
    fail("run");
    goto end;
  }
  for (i = 0; i < outs; ++i) {
    densa_model_output(model, i, &info);
    if (!write_file(argv[3 + ins + i], out[i], (size_t)rows * info.row_bytes)) goto end;
  }
  result = 0;

end:
  for (i = 0; i < MOST; ++i) {
    free(in[i]);
    free(out[i]);
  }
  densa_session_free(session);
  densa_model_free(model);
  return result;
}
