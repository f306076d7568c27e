// DENSA_ASAN and DENSA_TSAN: 1 where the address or the thread sanitizer watches this build, else
// 0. g++ says so with macros, clang when it is asked.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define DENSA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DENSA_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define DENSA_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DENSA_TSAN 1
#endif
#endif

#ifndef DENSA_ASAN
#define DENSA_ASAN 0
#endif
#ifndef DENSA_TSAN
#define DENSA_TSAN 0
#endif
