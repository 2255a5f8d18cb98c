/* A stand-in for NVIDIA's management library: two devices that do not exist, for the tests only. */
#include <stdio.h>
#include <string.h>

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory_v2_t;
static int handles[2] = {0, 1};

int nvmlInitWithFlags(unsigned int flags) { return 0; }
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return "stand-in"; }
int nvmlSystemGetDriverVersion(char *out, unsigned int size) { snprintf(out, size, "550.54.15"); return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) { *device = &handles[index]; return 0; }
int nvmlDeviceGetUUID(void *device, char *out, unsigned int size) { snprintf(out, size, "GPU-standin-%d", *(int *)device); return 0; }
int nvmlDeviceGetName(void *device, char *out, unsigned int size) { snprintf(out, size, "NVIDIA H100 80GB HBM3"); return 0; }
int nvmlDeviceGetMemoryInfo(void *device, memory_t *out) { out->total = 81920ULL << 20; out->free = out->total; out->used = 0; return 0; }
int nvmlDeviceGetMemoryInfo_v2(void *device, memory_v2_t *out) { out->total = 81920ULL << 20; out->free = out->total; out->used = out->reserved = 0; return 0; }
