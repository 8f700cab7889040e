#pragma once
// What this process and this machine use and have, in bytes, as the kernel counts it.

#include <cstdint>

namespace ecld {

uint64_t PeakResidentBytes();  // VmHWM: includes mapped file pages that were touched
uint64_t ResidentBytes();      // VmRSS
uint64_t AnonymousBytes();     // RssAnon: what this process really owns
void ResetPeakResident();      // starts a new VmHWM measurement, where the kernel allows it
void ReturnFreeMemory();       // of the allocator, to the system, so that what was freed is counted no more
// For work that takes and gives back pieces of megabytes again and again: the allocator keeps up to so much of them
// until ReturnFreeMemory. By itself it would return each, and have the system clear its pages anew.
inline constexpr uint64_t kKeptFreeBytes = 64 << 20;
void KeepFreeMemory(uint64_t bytes = kKeptFreeBytes);  // below 2^31
uint64_t AvailableMemoryBytes();                       // MemAvailable of the machine
uint64_t TotalMemoryBytes();                           // MemTotal of the machine

}  // namespace ecld
