/* A stand-in for NVIDIA's driver libraries in a pod: as much as preflight's GPU pod asks, for the tests only.
   COUNT: devices that a container sees; CUINIT: what CUDA's start gives; VERSION: of the library. */
#include <stdio.h>

#ifndef COUNT
#define COUNT 1
#endif
#ifndef CUINIT
#define CUINIT 0
#endif
#ifndef VERSION
#define VERSION "550.54.15"
#endif

int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned int flags) { (void)flags; return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { (void)code; return "stand-in"; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = COUNT; return 0; }
int nvmlSystemGetDriverVersion(char *out, unsigned int size) { snprintf(out, size, "%s", VERSION); return 0; }
int cuInit(unsigned int flags) { (void)flags; return CUINIT; }
