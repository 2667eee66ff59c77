// Marks what the library shows to its host; the rest is hidden.
#pragma once

#ifdef _WIN32
#define LGM_EXPORT __declspec(dllexport)
#else
#define LGM_EXPORT __attribute__((visibility("default")))
#endif
