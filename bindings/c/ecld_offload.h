/* Offloading as an environment to learn in, for any language that can call C: libecld_offload.so. Many environments are
 * stepped in one batch over arrays that the caller owns, row by row of environments; none is kept after a call. One
 * handle is for one thread at a time. Where a call fails it returns 0 or NULL, and ecld_offload_error says why.
 *
 * An episode that ends is followed by the next in the same step: observations are then of the next one, and
 * last_observations of the one that ended. What rewards and costs are: offload/offload_environment.h. */
#ifndef ECLD_OFFLOAD_H
#define ECLD_OFFLOAD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ECLD_OFFLOAD_API __attribute__((visibility("default")))

/* Rises when a call changes. */
enum { ECLD_OFFLOAD_VERSION = 1 };
ECLD_OFFLOAD_API uint32_t ecld_offload_version(void);

typedef struct ecld_offload ecld_offload;

/* overrides: "devices.0.count=50", as --set takes them; may be NULL where there are none. */
ECLD_OFFLOAD_API ecld_offload* ecld_offload_create(const char* scenario_file, const char* const* overrides,
                                                   size_t override_count, size_t environments);
ECLD_OFFLOAD_API void ecld_offload_close(ecld_offload* handle); /* NULL: nothing */

/* The shape: numbers in an observation, choices for a request, limits (of costs) and their names. */
ECLD_OFFLOAD_API size_t ecld_offload_observed(const ecld_offload* handle);
ECLD_OFFLOAD_API size_t ecld_offload_choices(const ecld_offload* handle);
ECLD_OFFLOAD_API size_t ecld_offload_limits(const ecld_offload* handle);
ECLD_OFFLOAD_API const char* ecld_offload_limit(const ecld_offload* handle, size_t index);

/* observations: [environments, observed]; allowed: [environments, choices], 1 where a choice may be made. */
ECLD_OFFLOAD_API int ecld_offload_reset(ecld_offload* handle, uint64_t seed, float* observations, uint8_t* allowed);

/* actions: [environments], choices that are allowed; where one is not, nothing is done. rewards, terminated, truncated:
 * [environments]; costs: [environments, limits]; last_observations: [environments, observed], written where truncated.
 */
ECLD_OFFLOAD_API int ecld_offload_step(ecld_offload* handle, const int64_t* actions, float* observations,
                                       uint8_t* allowed, float* rewards, float* costs, uint8_t* terminated,
                                       uint8_t* truncated, float* last_observations);

/* Of the last call of this thread that failed; never NULL. */
ECLD_OFFLOAD_API const char* ecld_offload_error(void);

#ifdef __cplusplus
}
#endif

#endif
