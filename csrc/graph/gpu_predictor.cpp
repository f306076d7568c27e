#include "graph/gpu_predictor.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <utility>

#include "base/arena.h"
#include "graph/gpu_fuse.h"
#include "graph/internal_ops.h"

namespace densa {
namespace {

constexpr long long kFine = LLONG_MAX;  // of a status
constexpr std::int64_t kMostRows = 1 << 16;
constexpr std::size_t kMostRooms = 4;   // of one capacity: calls that are under way at a time
constexpr std::size_t kMostSized = 16;  // of a room
constexpr std::size_t kLine = 128;

// Of all values of a part; as of a plan's data, tests may want others.
std::size_t most_bytes() {
  const char* const text = std::getenv("DENSA_GPU_PART_BYTES");
  return text == nullptr ? std::size_t{64} << 20 : std::strtoull(text, nullptr, 10);
}

// A feed that only gives its input another shape.
bool is_plain_feed(const Program& program, const ProgramNode& node) {
  return node.op == &feed_op() && node.attrs.get_double("scale", 1) == 1 &&
         node.attrs.get_double("offset", 0) == 0 &&
         program.values[node.in[0]].type.dtype == program.values[node.out[0]].type.dtype;
}

}  // namespace

// A room for as long as it lives.
class GpuPredictor::Lease {
 public:
  Lease(GpuPredictor& owner, std::int64_t rows) : owner_(owner), room_(owner.take(rows)) {}
  ~Lease() { owner_.give(room_); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Room& operator*() const { return *room_; }

 private:
  GpuPredictor& owner_;
  Room* room_;
};

GpuPredictor::GpuPredictor(Program program, Device device)
    : program_(std::move(program)), device_(device), gpu_(backend()) {
  std::size_t all = 0;
  for (const ProgramValue& value : program_.values)
    if (value.source != Source::kConstant) all += row_bytes(value.type);
  const std::size_t most = most_bytes();
  while (most_rows_ < kMostRows && 2 * static_cast<std::size_t>(most_rows_) * all <= most)
    most_rows_ *= 2;
  for (int id : program_.inputs)
    inputs_.push_back({program_.values[id].name, program_.values[id].type});
  for (const auto& [name, id] : program_.outputs)
    outputs_.push_back({name, program_.values[id].type});
  const std::scoped_lock locked(busy_);
  form_for(1);  // what cannot run says so now
}

GpuPredictor::~GpuPredictor() {
  for (const auto& [form, rooms] : rooms_)
    for (const auto& room : rooms) {
      for (const auto& sized : room->sized) forget(*sized);
      if (room->done != nullptr) gpu_.destroy_event(room->done);
      gpu_.forget_parts(room->arena->data(), room->arena->bytes());
    }
}

// ---- forms --------------------------------------------------------------------------------------

GpuPredictor::Form& GpuPredictor::form_for(std::int64_t rows) {
  const auto capacity = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(rows)));
  std::unique_ptr<Form>& form = forms_[capacity];
  if (form == nullptr) form = make_form(capacity);
  return *form;
}

std::unique_ptr<GpuPredictor::Form> GpuPredictor::make_form(std::int64_t capacity) {
  auto form = std::make_unique<Form>();
  form->capacity = capacity;
  form->program = program_;
  fuse_for_gpu(form->program, false, capacity);
  for (int id : form->program.inputs) form->inputs.push_back(id);
  for (const auto& [name, id] : form->program.outputs) form->outputs.push_back(id);
  place(*form);
  return form;
}

std::size_t GpuPredictor::row_bytes(const TypeInfo& type) const {
  return byte_count(with_rows(type.shape, 1), item_size(type.dtype));
}

const std::shared_ptr<Storage>& GpuPredictor::fixed(const ProgramValue& value) {
  const TensorPtr here = value.constant != nullptr ? as_tensor_ptr(value.constant, "freeze")
                                                   : full_tensor(value.type, value.number, kCpu);
  std::shared_ptr<Storage>& there = constants_[here.get()];
  if (there == nullptr) there = make_contiguous(to_device(here, device_))->storage;
  return there;
}

// Gives every value its place in a room, and lists the ops.
void GpuPredictor::place(Form& form) {
  Program& program = form.program;
  form.places.resize(program.values.size());
  std::vector<BufferLife> lives;
  const auto new_buffer = [&](int id) {
    const TypeInfo& type = program.values[id].type;
    const int now = static_cast<int>(form.works.size());
    form.places[id].buffer = static_cast<int>(lives.size());
    lives.push_back(
        {byte_count(with_rows(type.shape, form.capacity), item_size(type.dtype)), now, now});
  };
  const auto keep_until = [&](int id, int last) {
    const int buffer = form.places[id].buffer;
    if (buffer >= 0) lives[buffer].last = std::max(lives[buffer].last, last);
  };
  for (int id : form.inputs) {
    new_buffer(id);
    keep_until(id, INT_MAX);
  }
  for (std::size_t id = 0; id < program.values.size(); ++id)
    if (program.values[id].source == Source::kConstant)
      form.places[id].fixed = fixed(program.values[id]);
  for (const ProgramNode& node : program.nodes) {
    for (int id : node.in) keep_until(id, static_cast<int>(form.works.size()));
    if (node.op->alias || is_plain_feed(program, node)) {
      form.places[node.out[0]] = form.places[node.in[0]];
      continue;
    }
    Work work{gpu_.find(node.op->name), node.in, node.out, node.attrs};
    if (work.op == nullptr)
      throw ValueError(
          cat("freeze: '", node.op->name, "' does not run on a GPU; freeze the model for the CPU"));
    if (work.op->multiplies) work.attrs = with_matmul_precision(work.attrs, matmul_precision_);
    if (node.op != &feed_op() && work.op->fails(work.attrs)) work.status = form.status_count++;
    for (int id : node.out) new_buffer(id);
    form.works.push_back(std::move(work));
  }
  for (int id : form.outputs) keep_until(id, INT_MAX);
  for (const BufferLife& life : lives) form.bytes.push_back(life.bytes);
  if (gpu_.emulated())  // nobody shares: the emulation checks that each stays in its own
    for (BufferLife& life : lives) life = {life.bytes, 0, INT_MAX};
  const ArenaPlan plan = place_buffers(lives);
  form.offsets = plan.offsets;
  form.status_at = (plan.bytes + kLine - 1) / kLine * kLine;
  form.arena_bytes = form.status_at + std::max<std::size_t>(kLine, 8 * form.status_count);
}

// ---- rooms --------------------------------------------------------------------------------------

GpuPredictor::Room* GpuPredictor::take(std::int64_t rows) {
  std::unique_lock locked(busy_);
  const Form& form = form_for(rows);
  for (;;) {
    std::vector<std::unique_ptr<Room>>& rooms = rooms_[&form];
    for (const auto& room : rooms) {
      if (room->busy) continue;
      room->busy = true;
      return room.get();
    }
    if (rooms.size() < kMostRooms) {
      rooms.push_back(make_room(form));
      rooms.back()->busy = true;
      return rooms.back().get();
    }
    idle_.wait(locked);
  }
}

void GpuPredictor::give(Room* room) {
  {
    const std::scoped_lock locked(busy_);
    room->busy = false;
  }
  idle_.notify_all();  // each waits for rooms of its own capacity
}

std::unique_ptr<GpuPredictor::Room> GpuPredictor::make_room(const Form& form) {
  auto room = std::make_unique<Room>();
  room->form = &form;
  room->arena = allocate_on(device_, form.arena_bytes);
  auto* const arena = static_cast<std::byte*>(room->arena->data());
  if (gpu_.emulated())
    for (std::size_t b = 0; b < form.bytes.size(); ++b)
      gpu_.mark_part(arena + form.offsets[b], form.bytes[b]);
  return room;
}

// Only calls with memory of the host need it.
void GpuPredictor::make_pinned(Room& room) {
  if (room.done != nullptr) return;
  const Form& form = *room.form;
  const auto pinned = [&](std::vector<std::shared_ptr<Storage>>& all, std::size_t bytes) {
    all.push_back(pinned_for(device_, std::max<std::size_t>(bytes, 8)));
  };
  const auto capacity = static_cast<std::size_t>(form.capacity);
  room.sent.clear();
  room.landed.clear();
  for (const Spec& input : inputs_) pinned(room.sent, capacity * row_bytes(input.type));
  for (const Spec& output : outputs_) pinned(room.landed, capacity * row_bytes(output.type));
  if (form.status_count > 0)
    pinned(room.landed, sizeof(long long) * static_cast<std::size_t>(form.status_count));
  room.done = gpu_.create_event(device_);
}

void GpuPredictor::forget(Sized& sized) {
  for (cuda::Graph*& graph : sized.graphs)
    if (graph != nullptr) gpu_.destroy(std::exchange(graph, nullptr));
}

void* GpuPredictor::address(const Room& room, int value) const {
  const Place& place = room.form->places[value];
  if (place.fixed != nullptr) return place.fixed->data();
  return static_cast<std::byte*>(room.arena->data()) +
         room.form->offsets[static_cast<std::size_t>(place.buffer)];
}

View GpuPredictor::view(const Room& room, int value, std::int64_t rows) const {
  const TypeInfo& type = room.form->program.values[value].type;
  const Dims shape = with_rows(type.shape, rows);
  return {address(room, value), type.dtype, shape, contiguous_strides(shape)};
}

long long* GpuPredictor::statuses(const Room& room) const {
  return reinterpret_cast<long long*>(static_cast<std::byte*>(room.arena->data()) +
                                      room.form->status_at);
}

// What a room runs for so many rows; the one used least makes way for a new one.
GpuPredictor::Sized& GpuPredictor::sized_for(Room& room, std::int64_t rows) {
  const std::uint64_t now = ++room.uses;
  for (const auto& one : room.sized)
    if (one->rows == rows) {
      one->last_use = now;
      return *one;
    }
  auto made = std::make_unique<Sized>();
  made->rows = rows;
  made->last_use = now;
  std::size_t scratch = 0;
  for (const Work& work : room.form->works) {
    Launch launch{&work, {}, {}};
    std::vector<TypeInfo> types;
    for (int id : work.in) {
      launch.in.push_back(view(room, id, rows));
      types.push_back({launch.in.back().dtype, launch.in.back().shape});
    }
    for (int id : work.out) launch.out.push_back(view(room, id, rows));
    // Fewer rows may need more: their products are cut into more parts.
    if (work.op->scratch_bytes != nullptr)
      scratch = std::max(scratch, work.op->scratch_bytes(types, work.attrs));
    made->launches.push_back(std::move(launch));
  }
  if (scratch > 0 && (room.scratch == nullptr || room.scratch->bytes() < scratch))
    room.scratch = allocate_on(device_, scratch);
  made->scratch = room.scratch;  // what is captured here goes on with it
  if (room.sized.size() == kMostSized) {
    const auto oldest =
        std::min_element(room.sized.begin(), room.sized.end(),
                         [](const auto& a, const auto& b) { return a->last_use < b->last_use; });
    forget(**oldest);
    room.sized.erase(oldest);
  }
  room.sized.push_back(std::move(made));
  return *room.sized.back();
}

// ---- calls --------------------------------------------------------------------------------------

// Ops, and with memory of the host the copies around them.
void GpuPredictor::launch_all(const Room& room, const Sized& sized, Way way) {
  const Form& form = *room.form;
  cuda::Stream const stream = gpu_.stream(device_);
  const auto bytes = [&](const Spec& spec) {
    return static_cast<std::size_t>(sized.rows) * row_bytes(spec.type);
  };
  if (form.status_count > 0)
    fill_on(device_, statuses(room), DType::kInt64, form.status_count, std::uint64_t{kFine});
  if (way == kHost)
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      gpu_.begin_copy(stream, address(room, form.inputs[i]), room.sent[i]->data(),
                      bytes(inputs_[i]), cuda::Direction::kToDevice);
  for (const Launch& launch : sized.launches) {
    const Work& work = *launch.work;
    run_on_gpu(*work.op, {launch.in, launch.out, work.attrs,
                          sized.scratch == nullptr ? nullptr : sized.scratch->data(),
                          work.status < 0 ? nullptr : statuses(room) + work.status, stream});
  }
  if (way != kHost) return;
  for (std::size_t k = 0; k < outputs_.size(); ++k)
    gpu_.begin_copy(stream, room.landed[k]->data(), address(room, form.outputs[k]),
                    bytes(outputs_[k]), cuda::Direction::kToHost);
  if (form.status_count > 0)
    gpu_.begin_copy(stream, room.landed.back()->data(), statuses(room),
                    sizeof(long long) * static_cast<std::size_t>(form.status_count),
                    cuda::Direction::kToHost);
}

// One by one the first time: a number of rows that never comes again is not worth a capture, and
// kernels that are new to the GPU cannot be loaded during one.
void GpuPredictor::launch(const Room& room, Sized& sized, Way way) {
  if (!std::exchange(sized.ran, true)) return launch_all(room, sized, way);
  cuda::Graph*& graph = sized.graphs[way];
  if (graph == nullptr) {
    gpu_.begin_capture(device_);
    try {
      launch_all(room, sized, way);
    } catch (...) {
      gpu_.destroy(gpu_.end_capture(device_));
      throw;
    }
    graph = gpu_.end_capture(device_);
  }
  gpu_.launch(device_, graph);
}

void GpuPredictor::report(const Sized& sized, const long long* codes) const {
  for (const Launch& launch : sized.launches) {
    const Work& work = *launch.work;
    if (work.status < 0 || codes[work.status] == kFine) continue;
    work.op->report({launch.in, launch.out, work.attrs, nullptr, nullptr, gpu_.stream(device_)},
                    codes[work.status]);
  }
}

void GpuPredictor::run(const void* const* in, void* const* out, std::int64_t rows) {
  for (std::int64_t first = 0; first < rows; first += most_rows_)
    run_part(in, out, first, std::min(most_rows_, rows - first));
}

void GpuPredictor::run_part(const void* const* in, void* const* out, std::int64_t first,
                            std::int64_t rows) {
  const Lease lease(*this, rows);
  Room& room = *lease;
  make_pinned(room);
  Sized& sized = sized_for(room, rows);
  const auto at = static_cast<std::size_t>(first), count = static_cast<std::size_t>(rows);
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const std::size_t row = row_bytes(inputs_[i].type);
    std::memcpy(room.sent[i]->data(), static_cast<const std::byte*>(in[i]) + at * row, count * row);
  }
  {
    const auto held = gpu_.hold(device_);
    launch(room, sized, kHost);
    gpu_.record(gpu_.stream(device_), room.done);
  }
  gpu_.wait(room.done);
  if (room.form->status_count > 0)
    report(sized, static_cast<const long long*>(room.landed.back()->data()));
  for (std::size_t k = 0; k < outputs_.size(); ++k) {
    const std::size_t row = row_bytes(outputs_[k].type);
    std::memcpy(static_cast<std::byte*>(out[k]) + at * row, room.landed[k]->data(), count * row);
  }
}

void GpuPredictor::run_there(const void* const* in, void* const* out, std::int64_t rows) {
  for (std::int64_t first = 0; first < rows; first += most_rows_)
    run_part_there(in, out, first, std::min(most_rows_, rows - first));
}

void GpuPredictor::run_part_there(const void* const* in, void* const* out, std::int64_t first,
                                  std::int64_t rows) {
  const Lease lease(*this, rows);
  Room& room = *lease;
  const Form& form = *room.form;
  Sized& sized = sized_for(room, rows);
  const auto at = static_cast<std::size_t>(first), count = static_cast<std::size_t>(rows);
  const auto copy = [&](void* to, const void* from, std::size_t bytes) {
    gpu_.copy(device_, to, from, bytes, cuda::Direction::kOnDevice);
  };
  {
    // Whoever uses the room next does so behind this in the stream, so nobody has to wait.
    const auto held = gpu_.hold(device_);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const std::size_t row = row_bytes(inputs_[i].type);
      copy(address(room, form.inputs[i]), static_cast<const std::byte*>(in[i]) + at * row,
           count * row);
    }
    launch(room, sized, kThere);
    for (std::size_t k = 0; k < outputs_.size(); ++k) {
      const std::size_t row = row_bytes(outputs_[k].type);
      copy(static_cast<std::byte*>(out[k]) + at * row, address(room, form.outputs[k]), count * row);
    }
  }
  if (form.status_count == 0) return;
  std::vector<long long> codes(static_cast<std::size_t>(form.status_count));
  gpu_.copy(device_, codes.data(), statuses(room), codes.size() * sizeof(long long),
            cuda::Direction::kToHost);
  report(sized, codes.data());
}

// ---- looking inside -----------------------------------------------------------------------------

std::string GpuPredictor::explain() {
  const std::scoped_lock locked(busy_);
  std::ostringstream out;
  out << "predictor on " << to_string(device_) << ", up to " << most_rows_ << " rows at a time\n";
  for (const auto& [capacity, form] : forms_) {
    out << "for " << (capacity == 1 ? "one row" : cat("up to ", capacity, " rows")) << ": "
        << form->works.size() << " launches, " << form->arena_bytes << " bytes of work memory\n";
    for (const Work& work : form->works) {
      out << "  " << work.op->name;
      for (int id : work.in) out << " %" << id;
      out << " -> %" << work.out[0] << '\n';
    }
  }
  return out.str();
}

double GpuPredictor::seconds(std::int64_t rows, int repeats) {
  using Clock = std::chrono::steady_clock;
  if (rows < 1 || rows > most_rows_ || repeats < 1)
    throw ValueError(cat("predictor: from 1 to ", most_rows_, " rows and at least 1 repeat, got ",
                         rows, " and ", repeats));
  const Lease lease(*this, rows);
  Room& room = *lease;
  Sized& sized = sized_for(room, rows);
  const auto replay = [&](int count) {
    const auto held = gpu_.hold(device_);
    for (int i = 0; i < count; ++i) launch(room, sized, kThere);
  };
  for (std::size_t i = 0; i < inputs_.size(); ++i)
    gpu_.fill_zero(device_, address(room, room.form->inputs[i]),
                   static_cast<std::size_t>(rows) * row_bytes(inputs_[i].type));
  replay(2);  // one by one, and captured
  gpu_.synchronize(device_);
  const Clock::time_point start = Clock::now();
  replay(repeats);
  gpu_.synchronize(device_);
  return std::chrono::duration<double>(Clock::now() - start).count() / repeats;
}

}  // namespace densa
