// Changes to folders that a crash cannot leave half done.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

namespace rw {

// NAME.tmp-PID: where this process makes NAME. A name with ".tmp-" in it is never a finished thing.
std::filesystem::path temporary_name(const std::filesystem::path& name);

// True for NAME.tmp-PID... of a process that is no longer there, or of this one.
bool is_abandoned(const std::filesystem::path& name);

// Under `file` stands its old content or the new one, whole, at every moment, and on the disk on return.
// These throw UserError(Exit::write), naming the file and the reason.
void write_text(const std::filesystem::path& file, std::string_view text);
void move(const std::filesystem::path& from, const std::filesystem::path& to);  // and flush the target's folder
void sync_folder(const std::filesystem::path& folder);                          // its names, to the disk
void create_folders(const std::filesystem::path& folder);
void check_free_space(const std::filesystem::path& folder, uint64_t bytes);

// Puts the new folder in the place of the old one, if there is one, which is then removed.
void replace_folder(const std::filesystem::path& with, const std::filesystem::path& folder);

// A new folder: `fill` makes its content under a temporary name, which is then changed, or removed after an exception.
// UserError(Exit::write) also if `folder` is there already and not empty.
void write_new_folder(const std::filesystem::path& folder,
                      const std::function<void(const std::filesystem::path&)>& fill);

// Gives it another name first, so that a crash leaves no torn folder under its own.
void remove_folder(const std::filesystem::path& folder);

}  // namespace rw
