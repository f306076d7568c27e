// What is said where a GPU cannot be used: the same words on hardware and in the emulation.
#pragma once
#include <string>
#include <string_view>

namespace densa::cuda {

struct Found {
  int driver = 0, runtime = 0;  // versions, 12040 for 12.4; driver 0: there is none
  int devices = 0;
  std::string error;  // the driver's words, where it has some and they are not "no device"
};
// How many devices can be used; 0 with the reason.
int usable_devices(const Found& found, std::string* why_none);

// Whether a GPU of this capability runs what was built: `built` lists machine code ("75", "90a")
// and PTX ("ptx75"), with spaces between. Machine code runs on newer minor versions, with a letter
// on its own version alone; PTX on all that is newer.
bool has_code(std::string_view built, int major, int minor);
std::string no_code(std::string_view built, const std::string& name, int major, int minor);

// Remembers what is about to be launched, for the message of an error that shows only later.
void note(const char* op);
const char* last_noted();
unsigned notes_so_far();
void forget_notes(unsigned so_far);  // what was noted until then is known to be done
// The message of an error that stays until the process ends.
std::string broken_gpu(const char* what, const char* error);

}  // namespace densa::cuda
