#include "core/file/hdf5_layout.hpp"

#include <hdf5.h>

#include <set>
#include <utility>

#include "core/base/user_error.hpp"
#include "core/file/manifest.hpp"

namespace rw {

namespace {

// The innermost message of libhdf5's error stack: it has the text of errno.
std::string last_reason() {
  std::string reason = "libhdf5 failed";
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* text) -> herr_t {
        if (error->desc) *static_cast<std::string*>(text) = error->desc;
        return 1;  // the first one is enough
      },
      &reason);
  return reason;
}

// Before every other call: libhdf5's exit handler would write again after an error.
void leave_exit_alone() { [[maybe_unused]] static const herr_t once = H5dont_atexit(); }

class Session {  // calls into libhdf5 for one file
 public:
  explicit Session(const std::filesystem::path& file) : file_(file) {
    leave_exit_alone();
    check(H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr));
  }
  template <class Result>
  Result check(Result result) const {
    if (result < 0) throw UserError(Exit::write, "cannot write " + file_.string(), last_reason());
    return result;
  }

 private:
  const std::filesystem::path& file_;
};

class Handle {
 public:
  Handle(hid_t id, herr_t (*close_id)(hid_t)) : id_(id), close_(close_id) {}
  Handle(const Handle&) = delete;
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }
  herr_t close() { return close_(std::exchange(id_, -1)); }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

Handle type_of(const Session& h5, const ContainerItem& item) {
  const auto native = [&]() -> hid_t {
    switch (item.type) {
      case FileType::f64:
        return H5T_IEEE_F64LE;
      case FileType::f32:
      case FileType::bf16:
        return H5T_IEEE_F32LE;
      case FileType::i32:
        return H5T_STD_I32LE;
      case FileType::u8:
        return H5T_STD_U8LE;
      case FileType::u16:
        return H5T_STD_U16LE;
      case FileType::u32:
        return H5T_STD_U32LE;
      case FileType::u64:
        return H5T_STD_U64LE;
      case FileType::text:
        return H5T_C_S1;
    }
    return -1;
  };
  const hid_t type = h5.check(H5Tcopy(native()));
  if (item.type == FileType::text) {
    h5.check(H5Tset_size(type, item.shape.at(0)));
    h5.check(H5Tset_strpad(type, H5T_STR_NULLPAD));
    h5.check(H5Tset_cset(type, H5T_CSET_UTF8));
  }
  if (item.type == FileType::bf16) {  // sign 15, exponent 7 to 14 with bias 127, mantissa 0 to 6
    h5.check(H5Tset_fields(type, 15, 7, 8, 0, 7));
    h5.check(H5Tset_precision(type, 16));
    h5.check(H5Tset_size(type, 2));
    h5.check(H5Tset_ebias(type, 127));
  }
  return {type, H5Tclose};
}

Handle space_of(const Session& h5, const ContainerItem& item) {
  if (item.type == FileType::text || item.shape.empty()) return {h5.check(H5Screate(H5S_SCALAR)), H5Sclose};
  const std::vector<hsize_t> dims(item.shape.begin(), item.shape.end());
  return {h5.check(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr)), H5Sclose};
}

// Groups above the datasets, without the time of their creation: equal content makes equal bytes.
void create_groups(const Session& h5, hid_t file, std::span<const ContainerItem> items) {
  std::set<std::string> groups;
  for (const ContainerItem& item : items)
    for (size_t at = item.path.find('/', 1); at != std::string::npos; at = item.path.find('/', at + 1))
      groups.insert(item.path.substr(0, at));
  Handle plain{h5.check(H5Pcreate(H5P_GROUP_CREATE)), H5Pclose};
  h5.check(H5Pset_obj_track_times(plain, false));
  for (const std::string& name : groups) {  // a parent sorts before its children
    Handle group{h5.check(H5Gcreate2(file, name.c_str(), H5P_DEFAULT, plain, H5P_DEFAULT)), H5Gclose};
    h5.check(group.close());
  }
}

}  // namespace

std::vector<uint64_t> lay_out_hdf5(const std::filesystem::path& name, std::span<const ContainerItem> items) {
  const Session h5(name);
  Handle access{h5.check(H5Pcreate(H5P_FILE_ACCESS)), H5Pclose};
  h5.check(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST));
  h5.check(H5Pset_alignment(access, 1, 4096));
  h5.check(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG));
  h5.check(H5Pset_file_locking(access, false, true));  // the name is ours alone; locks fail on some network disks
  Handle creation{h5.check(H5Pcreate(H5P_FILE_CREATE)), H5Pclose};
  h5.check(H5Pset_obj_track_times(creation, false));
  Handle file{h5.check(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, creation, access)), H5Fclose};
  create_groups(h5, file, items);

  Handle contiguous{h5.check(H5Pcreate(H5P_DATASET_CREATE)), H5Pclose};
  h5.check(H5Pset_layout(contiguous, H5D_CONTIGUOUS));
  h5.check(H5Pset_alloc_time(contiguous, H5D_ALLOC_TIME_EARLY));
  h5.check(H5Pset_fill_time(contiguous, H5D_FILL_TIME_NEVER));
  h5.check(H5Pset_obj_track_times(contiguous, false));
  std::vector<uint64_t> offsets;
  for (const ContainerItem& item : items) {
    const Handle type = type_of(h5, item), space = space_of(h5, item);
    Handle set{h5.check(H5Dcreate2(file, item.path.c_str(), type, space, H5P_DEFAULT, contiguous, H5P_DEFAULT)),
               H5Dclose};
    const haddr_t offset = H5Dget_offset(set);
    offsets.push_back(offset == HADDR_UNDEF ? 0 : offset);
    h5.check(set.close());
  }
  h5.check(file.close());
  return offsets;
}

void check_hdf5(const std::filesystem::path& name, std::span<const ContainerEntry> entries) {
  const Session h5(name);
  Handle access{h5.check(H5Pcreate(H5P_FILE_ACCESS)), H5Pclose};
  h5.check(H5Pset_file_locking(access, false, true));
  Handle file{h5.check(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access)), H5Fclose};
  for (const ContainerEntry& entry : entries) {
    Handle set{h5.check(H5Dopen2(file, entry.path.c_str(), H5P_DEFAULT)), H5Dclose};
    const haddr_t offset = H5Dget_offset(set);
    if (H5Dget_storage_size(set) != entry.bytes || (entry.bytes != 0 && offset != entry.offset))
      throw UserError(Exit::write, "cannot write " + name.string(), entry.path + " is not where it was put");
    h5.check(set.close());
  }
  h5.check(file.close());
}

std::string hdf5_version() {
  leave_exit_alone();
  unsigned major = 0, minor = 0, patch = 0;
  H5get_libversion(&major, &minor, &patch);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

}  // namespace rw
