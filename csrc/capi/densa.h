/* densa: frozen networks from C.
 *
 * A model is what `model.freeze().save("net.densa")` wrote in Python: immutable, usable from any
 * number of threads at once. A session is memory for calls of one thread at a time.
 *
 *   densa_model* model = NULL;
 *   densa_session* session = NULL;
 *   if (densa_model_load("net.densa", NULL, &model) != DENSA_OK ||
 *       densa_session_create(model, NULL, &session) != DENSA_OK) puts(densa_last_error());
 *   const void* inputs[] = {x};  // one pointer for each input: rows one behind the other
 *   void* outputs[] = {y};
 *   densa_status status = densa_run(session, inputs, outputs, rows);
 *
 * What holds everywhere:
 *
 * - C99 and C++. Nothing throws, prints, aborts, or installs a signal handler.
 * - Functions that can fail return a densa_status and leave what they would have made at NULL.
 *   densa_last_error() then says what is wrong.
 * - The caller owns the memory of inputs and outputs; the library keeps no pointer to it. Arrays
 *   are row-major and aligned as their type wants it; the first axis are the rows. Inputs may share
 *   memory. An output shares none with an input or another output, and neither lies in the
 *   caller's scratch memory: else DENSA_INVALID_ARGUMENT, before anything is written.
 * - Answers are those of `Predictor` in Python on the same machine, bit for bit. A row's answer
 *   depends neither on the other rows of the call nor on the number of threads.
 * - "Any thread" beside a function: it may be called from several threads at the same time, also
 *   with the same arguments. "One thread at a time" is about calls with the same session.
 *
 * Sizes are bytes where a name says so, else numbers of things.
 */
#ifndef DENSA_H
#define DENSA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define DENSA_API __attribute__((visibility("default")))
#else
#define DENSA_API
#endif

/* Grows by one where a program that was built with an older header would stop working. What is
 * added (functions, members at the end of structs, codes) leaves it as it is. */
#define DENSA_ABI_VERSION 1

/* The version of the library that runs; a program needs DENSA_ABI_VERSION. Any thread. */
DENSA_API uint32_t densa_abi_version(void);

/* Such as "0.1.0"; lives for ever. Any thread. */
DENSA_API const char* densa_version(void);

/* ---- errors ---------------------------------------------------------------------------------- */

typedef enum densa_status {
  DENSA_OK = 0,
  DENSA_INVALID_ARGUMENT = 1, /* NULL, a number out of range, options of another size */
  DENSA_CANNOT_READ = 2,      /* the file cannot be opened, read or mapped */
  DENSA_BAD_FILE = 3,         /* it is no frozen network, damaged, or of a version not known here */
  DENSA_LIMIT = 4,            /* a limit of the options is exceeded */
  DENSA_OUT_OF_MEMORY = 5,
  DENSA_BAD_INPUT = 6, /* a value that the network has no answer for: an id out of range */
  DENSA_INTERNAL = 7   /* a mistake of the library */
} densa_status;

/* The name of a code, such as "DENSA_BAD_FILE"; lives for ever. Any thread. */
DENSA_API const char* densa_status_name(densa_status status);

/* What was wrong in the last call of this thread that failed; "" if none has. Up to 511 bytes of
 * UTF-8, kept until the thread's next call that fails. Any thread, each with its own. */
DENSA_API const char* densa_last_error(void);

/* ---- models ---------------------------------------------------------------------------------- */

typedef struct densa_model densa_model;

/* Options begin with their own size, which says what the caller knows of them: fill them with
 * ..._INIT, then change members. A library that knows fewer members wants the rest to be zero. */
typedef struct densa_load_options {
  size_t struct_size;
  /* 0: the model gets a copy of its constants. 1: they stay where they are: a file is mapped, and
   * must neither be cut nor written over in place while the model or a session lives (reading what
   * is gone ends a process, and what is written there changes answers; write a new version beside
   * it and rename that over it); memory must be aligned to 64 bytes and stay unchanged until the
   * model and its sessions are freed. */
  int32_t in_place;
  /* 1: the sum over all bytes is not checked, so that only what is needed is read. Whatever can be
   * wrong with the network itself is found anyway; a flipped bit of a weight is not. */
  int32_t skip_sum;
  uint64_t most_bytes; /* a larger file is refused with DENSA_LIMIT; 0: no limit */
} densa_load_options;
#define DENSA_LOAD_OPTIONS_INIT \
  { sizeof(densa_load_options), 0, 0, 0 }

/* A model from a file, or from the bytes of one. `options` may be NULL. *model is to be freed with
 * densa_model_free. Takes the time to read the file. Any thread. */
DENSA_API densa_status densa_model_load(const char* path, const densa_load_options* options,
                                        densa_model** model);
DENSA_API densa_status densa_model_load_memory(const void* data, size_t bytes,
                                               const densa_load_options* options,
                                               densa_model** model);

/* NULL is nothing. Sessions of the model stay usable. Any thread, once. */
DENSA_API void densa_model_free(densa_model* model);

typedef enum densa_dtype {
  DENSA_BOOL = 1, /* a byte, 0 or 1 */
  DENSA_INT8 = 2,
  DENSA_INT16 = 3,
  DENSA_INT32 = 4,
  DENSA_INT64 = 5,
  DENSA_UINT8 = 6,
  DENSA_UINT16 = 7,
  DENSA_UINT32 = 8,
  DENSA_UINT64 = 9,
  DENSA_FLOAT16 = 10,
  DENSA_BFLOAT16 = 11,
  DENSA_FLOAT32 = 12,
  DENSA_FLOAT64 = 13
} densa_dtype;

#define DENSA_MAX_RANK 8

/* An input or an output. The caller sets struct_size, the library the rest. */
typedef struct densa_tensor_info {
  size_t struct_size;
  const char* name; /* UTF-8; lives as long as the model */
  densa_dtype dtype;
  int32_t rank;                  /* at least 1, at most DENSA_MAX_RANK */
  int64_t shape[DENSA_MAX_RANK]; /* shape[0] is -1, the rows of a call; 0 behind the last axis */
  size_t row_bytes;              /* of one row */
} densa_tensor_info;
#define DENSA_TENSOR_INFO_INIT \
  { sizeof(densa_tensor_info), NULL, DENSA_FLOAT32, 0, {0}, 0 }

/* How many there are; 0 for NULL. Any thread. */
DENSA_API size_t densa_model_inputs(const densa_model* model);
DENSA_API size_t densa_model_outputs(const densa_model* model);

/* What the input or output of that index is, in the order of `inputs` and `outputs` in Python.
 * Any thread. */
DENSA_API densa_status densa_model_input(const densa_model* model, size_t index,
                                         densa_tensor_info* info);
DENSA_API densa_status densa_model_output(const densa_model* model, size_t index,
                                          densa_tensor_info* info);

/* ---- calls ----------------------------------------------------------------------------------- */

typedef struct densa_session densa_session;

typedef struct densa_session_options {
  size_t struct_size;
  int64_t max_rows; /* of one call, at least 1 */
  int32_t threads;  /* 1: the caller's alone. More, up to 256: threads of the library help, which
                       it starts in the first call and keeps; while they help another call, this
                       one runs alone. Not for real-time threads. */
  int32_t reserved; /* 0 */
} densa_session_options;
#define DENSA_SESSION_OPTIONS_INIT \
  { sizeof(densa_session_options), 1024, 1, 0 }

/* Memory for calls; the model may be freed before it. `options` may be NULL: those of ..._INIT.
 * *session is to be freed with densa_session_free. Any thread. */
DENSA_API densa_status densa_session_create(const densa_model* model,
                                            const densa_session_options* options,
                                            densa_session** session);

/* NULL is nothing. Not while a call runs. */
DENSA_API void densa_session_free(densa_session* session);

/* The answers for `rows` rows, 0 to max_rows: inputs[i] points to rows x row_bytes of input i,
 * outputs[k] to room for the same of output k. With one thread it allocates nothing, takes no lock
 * and makes no system call, so it may be called in a real-time thread. (Where the library was
 * opened with dlopen, a thread's first call sets its thread-local memory up; densa_last_error does
 * so, too.) DENSA_BAD_INPUT leaves the outputs half written, and builds its message in memory of
 * the heap. Denormal numbers count as zero in the call; the thread's own mode is put back. One
 * thread at a time. */
DENSA_API densa_status densa_run(densa_session* session, const void* const* inputs,
                                 void* const* outputs, int64_t rows);

/* The same without a session: the caller brings the scratch memory, of any alignment, of as many
 * bytes as densa_scratch_bytes says for as many rows or more. One thread computes. Any thread,
 * each with scratch memory of its own. */
DENSA_API densa_status densa_run_with_scratch(const densa_model* model, const void* const* inputs,
                                              void* const* outputs, int64_t rows, void* scratch,
                                              size_t scratch_bytes);
DENSA_API densa_status densa_scratch_bytes(const densa_model* model, int64_t rows, size_t* bytes);

#ifdef __cplusplus
}
#endif

#endif
