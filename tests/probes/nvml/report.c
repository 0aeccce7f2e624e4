/* The part of the stand-in that tells how a device is set and who uses it. */
#include "state.h"

#define INSUFFICIENT_SIZE 7
#define VERSION_MISMATCH 25
#define MOST 16

typedef struct { unsigned pid; unsigned long long memory; unsigned instance, compute; } Process;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned version; int margin; } Margin;

int nvmlSystemGetCudaDriverVersion(int *version) {
    int code = enter(-1, __func__);
    *version = (int)number(0, "cuda", 13000);
    return code;
}

/* The key is a list of `pid:bytes`; -1 bytes are not told. Asked without room for it, the library tells the count. */
static int processes(void *handle, const char *function, const char *key, unsigned *count, Process *out) {
    int d = DEVICE(handle), code = enter(d, function);
    unsigned room = *count, found = 0;
    char list[400], *rest = list;
    word(d, key, "", list, sizeof list);
    for (char *one; !code && found < MOST && (one = strsep(&rest, " "));) {
        unsigned pid;
        long long bytes;
        if (sscanf(one, "%u:%lld", &pid, &bytes) != 2) continue;
        if (found < room) out[found] = (Process){pid, (unsigned long long)bytes, ~0u, ~0u};
        found++;
    }
    *count = found;
    return code ? code : found > room ? INSUFFICIENT_SIZE : 0;
}

#define PROCESSES(function, key) \
    int function(void *handle, unsigned *count, Process *out) { return processes(handle, __func__, key, count, out); }

#ifdef WITHOUT_THIRD_PROCESSES
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, "compute")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, "graphics")
#else
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, "compute")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, "graphics")
#endif

int nvmlDeviceGetUtilizationRates(void *handle, Utilization *out) {
    WHOLE(handle);
    out->gpu = (unsigned)number(d, "utilization", 0), out->memory = 0;
    return 0;
}

GETTER(nvmlDeviceGetPowerManagementDefaultLimit, "default_limit_mw", 700000)
KIND_GETTER(nvmlDeviceGetApplicationsClock, "application_mhz", 1980)
KIND_GETTER(nvmlDeviceGetDefaultApplicationsClock, "default_mhz", 1980)
KIND_GETTER(nvmlDeviceGetTemperatureThreshold, "threshold", 90)

#ifndef WITHOUT_MARGIN
int nvmlDeviceGetMarginTemperature(void *handle, Margin *out) {
    WHOLE(handle);
    out->margin = (int)number(d, "margin", 42);
    return out->version == (sizeof *out | 1 << 24) ? 0 : VERSION_MISMATCH;
}
#endif

int nvmlDeviceGetTotalEccErrors(void *handle, int type, int counter, unsigned long long *out) {
    WHOLE(handle);
    char key[40];
    snprintf(key, sizeof key, "ecc_errors.%d.%d", type, counter);
    *out = (unsigned long long)number(d, key, 0);
    return 0;
}
