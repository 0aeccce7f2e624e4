/* What a test has written for the stand-in, and how its functions look it up. */
#pragma once
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEVICES 16
#define MIG 0x100
#define INVALID 2
#define NOT_SUPPORTED 3
#define NO_PERMISSION 4
#define NOT_FOUND 6
#define LOST 15

static _Thread_local char text[1 << 14];

static void load(void) {
    FILE *file = fopen(getenv("NVML_STAND_IN"), "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[size] = 0;
    if (file) fclose(file);
}

/* Finds the value of a key at the start of a line. */
static const char *find(const char *key) {
    size_t size = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, key, size) && !strncmp(line + size, " = ", 3)) return line + size + 3;
    return NULL;
}

static const char *lookup(int device, const char *key) {
    char own[80];
    snprintf(own, sizeof own, "%d.%s", device & 0xff, key);
    const char *value = find(own);
    return value ? value : find(key);
}

static double number(int device, const char *key, double otherwise) {
    const char *value = lookup(device, key);
    return value ? strtod(value, NULL) : otherwise;
}

static int word(int device, const char *key, const char *otherwise, char *out, unsigned size) {
    const char *value = lookup(device, key);
    snprintf(out, size, "%.*s", value ? (int)strcspn(value, "\n") : 99, value ? value : otherwise);
    return 0;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* The common part of every call: read the state, and return what the test asked this function to return. */
static int enter(int device, const char *function) {
    load();
    if (device >= 0 && now() >= number(device, "lost_at", INFINITY)) return LOST;
    return (int)number(device < 0 ? 0 : device, function, 0);
}

static int mig_only_refuses(int device) { return device & MIG ? NOT_SUPPORTED : 0; }

#define DEVICE(handle) ((int)(intptr_t)(handle) - 1)
#define HANDLE(device) ((void *)(intptr_t)((device) + 1))
#define BEGIN(handle) int d = DEVICE(handle), code = enter(d, __func__); if (code) return code
#define WHOLE(handle) BEGIN(handle); if ((code = mig_only_refuses(d))) return code

/* A getter of one unsigned number: the key, and what it is where the file does not say. */
#define GETTER(function, key, otherwise) \
    int function(void *handle, unsigned *out) { WHOLE(handle); *out = (unsigned)number(d, key, otherwise); return 0; }
#define KIND_GETTER(function, key, otherwise) \
    int function(void *handle, int kind, unsigned *out) { \
        WHOLE(handle); \
        char name[40]; \
        snprintf(name, sizeof name, "%s.%d", key, kind); \
        *out = (unsigned)number(d, name, otherwise); \
        return 0; \
    }
