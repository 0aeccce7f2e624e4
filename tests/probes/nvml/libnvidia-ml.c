/* A stand-in for NVIDIA's driver library, enough of it for nvidia-ml-py to be driven without a GPU.
 *
 * NVML_STAND_IN names a text file of `key = value` lines, which is read again at every call, so that a test can rewrite
 * it under a running process. `3.key` is for device 3 alone. The name of a function as key gives the code that it
 * returns. Times are seconds of CLOCK_MONOTONIC. tests/probes/nvml_stand_in.py has the list of keys.
 */
#include "state.h"

typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency;
    int type, code;
    union { double d; uint32_t u; uint64_t q; } value;
} Field;
typedef struct { uint32_t version; uint64_t total, reserved, free, used; } Memory2;
typedef struct { uint64_t total, free, used; } Memory;

/* Seconds for which a device was busy up to a time: the lines of the file `busy` are `begin end`, or `begin` alone. */
static double busy_s(int device, double until) {
    char path[512];
    word(device, "busy", "", path, sizeof path);
    FILE *file = *path ? fopen(path, "r") : NULL;
    char line[80];
    double begin, end, sum = 0;
    while (file && fgets(line, sizeof line, file)) {
        int found = sscanf(line, "%lf %lf", &begin, &end);
        if (found < 1) continue;
        if (found < 2 || end > until) end = until;
        sum += fmax(0, end - begin);
    }
    if (file) fclose(file);
    return sum;
}

/* Joules from `origin` to a time: constant, rising by `slope`, `high` for a part of each `period`, and when busy. */
static double joules(int device, double until) {
    double since = fmax(0, until - number(device, "origin", 0)), watts = number(device, "watts", 60);
    double period = number(device, "period", 0), sum = watts * since + number(device, "slope", 0) * since * since / 2;
    if (period > 0) {
        double on = period * number(device, "duty", 0.5), whole = floor(since / period);
        sum += (number(device, "high", watts) - watts) * (whole * on + fmin(on, since - whole * period));
    }
    return sum + (number(device, "busy_watts", watts) - watts) * busy_s(device, until);
}

static double mean_watts(int device, double over) {
    double end = now();
    return (joules(device, end) - joules(device, end - over)) / over;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return enter(-1, __func__); }
int nvmlShutdown(void) { return 0; }

const char *nvmlErrorString(int code) {
    switch (code) {
        case NOT_SUPPORTED: return "Not Supported";
        case NO_PERMISSION: return "Insufficient Permissions";
        case 9: return "Driver Not Loaded";
        case LOST: return "GPU is lost";
        default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *out, unsigned size) { load(); return word(0, "driver", "580.95.05", out, size); }

int nvmlDeviceGetCount_v2(unsigned *count) {
    int code = enter(-1, __func__);
    *count = (unsigned)number(0, "count", 1);
    return code;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    int code = enter((int)index, __func__);
    if (code) return code;
    *handle = HANDLE((int)index);
    return index < (unsigned)number(0, "count", 1) ? 0 : INVALID;
}

int nvmlDeviceGetUUID(void *handle, char *out, unsigned size) {
    BEGIN(handle);
    char otherwise[40];
    snprintf(otherwise, sizeof otherwise, "%s-%02d00aaaa-0000", d & MIG ? "MIG" : "GPU", d & 0xff);
    return word(d, d & MIG ? "mig_uuid" : "uuid", otherwise, out, size);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    int code = enter(-1, __func__), count = (int)number(0, "count", 1);
    char own[96];
    for (int kind = 0; !code && kind <= MIG; kind += MIG)
        for (int device = 0; device < count; device++) {
            *handle = HANDLE(device | kind);
            if (!nvmlDeviceGetUUID(*handle, own, sizeof own) && !strcmp(own, uuid)) return 0;
        }
    return code ? code : NOT_FOUND;
}

int nvmlDeviceIsMigDeviceHandle(void *handle, unsigned *is) { BEGIN(handle); *is = !!(d & MIG); return 0; }

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *handle, void **parent) {
    BEGIN(handle);
    *parent = HANDLE(d & ~MIG);
    return d & MIG ? 0 : INVALID;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    BEGIN(handle);
    const char *mode = lookup(d, "mig");
    *current = *pending = mode && *mode == '1';
    return mode ? 0 : NOT_SUPPORTED;
}

int nvmlDeviceGetName(void *handle, char *out, unsigned size) {
    BEGIN(handle);
    return word(d, "name", "NVIDIA Stand-in", out, size);
}

int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    BEGIN(handle);
    int capability = (int)number(d, "capability", 90);
    *major = capability / 10, *minor = capability % 10;
    return 0;
}

int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory) {
    BEGIN(handle);
    memory->total = (uint64_t)number(d, "memory_total", 80e9), memory->free = (uint64_t)number(d, "memory_free", 79e9);
    memory->used = memory->total - memory->free;
    return 0;
}

int nvmlDeviceGetMemoryInfo_v2(void *handle, Memory2 *memory) {
    BEGIN(handle);
    if (memory->version != (sizeof *memory | 2 << 24)) return 25; /* argument version mismatch */
    memory->reserved = (uint64_t)number(d, "memory_reserved", 5e8);
    memory->total = (uint64_t)number(d, "memory_total", 80e9), memory->free = (uint64_t)number(d, "memory_free", 79e9);
    memory->used = memory->total - memory->free - memory->reserved;
    return 0;
}

GETTER(nvmlDeviceGetPersistenceMode, "persistence", 1)
GETTER(nvmlDeviceGetPowerManagementLimit, "power_limit_mw", 700000)
KIND_GETTER(nvmlDeviceGetTemperature, "temperature", 45)
KIND_GETTER(nvmlDeviceGetClockInfo, "clock_mhz", 1980)
KIND_GETTER(nvmlDeviceGetMaxClockInfo, "max_clock_mhz", 1980)

int nvmlDeviceGetEccMode(void *handle, unsigned *current, unsigned *pending) {
    BEGIN(handle);
    *current = *pending = (unsigned)number(d, "ecc", 1);
    return 0;
}

static int reasons(void *handle, const char *function, uint64_t *out) {
    int d = DEVICE(handle), code = enter(d, function);
    *out = (uint64_t)number(d, "reasons", 0);
    return code;
}

#ifndef WITHOUT_EVENT_REASONS
int nvmlDeviceGetCurrentClocksEventReasons(void *handle, uint64_t *out) { return reasons(handle, __func__, out); }
#endif
int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, uint64_t *out) { return reasons(handle, __func__, out); }

int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) {
    WHOLE(handle);
    *milliwatts = (unsigned)lround(1000 * mean_watts(d, number(d, "usage_s", 1)));
    return 0;
}

/* Moves at the boundaries of `tick`, by whole millijoules; from `jump_at` on it is `jump` joules lower. */
#ifndef WITHOUT_ENERGY
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *millijoules) {
    WHOLE(handle);
    double time = now(), tick = number(d, "tick", 0.1);
    double sum = joules(d, floor(time / tick) * tick) + number(d, "before", 1000);
    if (time >= number(d, "jump_at", INFINITY)) sum -= number(d, "jump", 0);
    *millijoules = (unsigned long long)(sum * 1000);
    return 0;
}
#endif

/* Power fields 185 (average) and 186 (instant); the key `field.186.1` gives the code of field 186 in scope 1. */
#ifndef WITHOUT_FIELDS
int nvmlDeviceGetFieldValues(void *handle, int count, Field *fields) {
    WHOLE(handle);
    for (Field *field = fields; field < fields + count; field++) {
        char key[40];
        snprintf(key, sizeof key, "field.%u.%u", field->field, field->scope);
        int known = field->field == 185 || field->field == 186;
        field->code = (int)number(d, key, known && field->scope == 0 ? 0 : NOT_SUPPORTED);
        field->type = 1;
        field->timestamp = (int64_t)(now() * 1e6);
        double scale = field->scope == 1 ? number(d, "module_share", 1.5) : 1;
        field->value.u = (uint32_t)lround(1000 * scale * mean_watts(d, field->field == 185 ? 1 : 1e-3));
    }
    return 0;
}
#endif
