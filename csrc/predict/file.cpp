#include "predict/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include "base/storage.h"
#include "predict/json.h"

namespace densa {
namespace {

constexpr std::size_t kLine = 64, kLengthBytes = 8, kSumDigits = 16;
constexpr std::size_t kMostHeader = std::size_t{1} << 24;
constexpr std::string_view kStart = R"({"__metadata__":{"sum":")";
constexpr std::string_view kModelStart = R"({"__metadata__":{"crc32":")";
constexpr std::string_view kFormat = "densa predictor";
constexpr std::string_view kReserved[] = {"sum", "format", "version", "net"};

std::string hex(std::uint64_t number) {
  std::string digits(kSumDigits, '0');
  for (std::size_t i = kSumDigits; i-- > 0; number >>= 4)
    digits[i] = "0123456789abcdef"[number & 15];
  return digits;
}

int version_of(const Net& net) {
  return std::any_of(net.values.begin(), net.values.end(),
                     [](const NetValue& value) { return value.packing == Packing::kSparse; })
             ? 2
             : 1;
}

// ---- writing --------------------------------------------------------------------------------

Json shape_json(const Dims& shape) {
  Json::List list;
  for (std::int64_t d : shape) list.push_back(d == kRows ? Json() : Json(d));
  return Json(std::move(list));
}

struct AttributeJson {
  Json operator()(bool b) const { return Json(b); }
  Json operator()(std::int64_t i) const { return Json(i); }
  Json operator()(double d) const { return Json(d); }
  Json operator()(const std::string& s) const { return Json(s); }
  Json operator()(const Ints& ints) const {
    Json::List list;
    for (std::int64_t i : ints) list.emplace_back(i);
    return Json(std::move(list));
  }
};

constexpr std::string_view kPackings[] = {"rows", "panels", "bfloat16", "int8", "sparse"};

Packing packing_of(const std::string& name) {
  const auto* const found = std::find(std::begin(kPackings), std::end(kPackings), name);
  if (found == std::end(kPackings)) throw ValueError(cat("unknown packing \"", shown(name), '"'));
  return static_cast<Packing>(found - std::begin(kPackings));
}

Json ids_json(const std::vector<int>& ids) {
  Json::List list;
  for (int id : ids) list.emplace_back(id);
  return Json(std::move(list));
}

Json value_json(const NetValue& value) {
  Json::Object made;
  static constexpr std::string_view kKinds[] = {"input", "feed", "constant", "node"};
  made.emplace_back("kind", Json(kKinds[value.kind]));
  made.emplace_back("dtype", Json(dtype_name(value.type.dtype)));
  made.emplace_back("shape", shape_json(value.type.shape));
  if (value.kind == NetValue::kInput || value.kind == NetValue::kFeed)
    made.emplace_back("input", Json(value.input));
  if (value.kind == NetValue::kFeed) {
    made.emplace_back("scale", Json(value.scale));
    made.emplace_back("offset", Json(value.offset));
  }
  if (value.kind == NetValue::kConstant)
    made.emplace_back("packing", Json(kPackings[static_cast<int>(value.packing)]));
  if (value.packing == Packing::kSparse) made.emplace_back("blocks", Json(value.blocks));
  return Json(std::move(made));
}

std::string net_text(const Net& net) {
  Json::List inputs, outputs, values, nodes;
  for (const NetInput& input : net.inputs)
    inputs.push_back(Json::Object{{"name", Json(input.name)},
                                  {"dtype", Json(dtype_name(input.type.dtype))},
                                  {"shape", shape_json(input.type.shape)}});
  for (const NetOutput& output : net.outputs)
    outputs.push_back(Json::Object{{"name", Json(output.name)}, {"value", Json(output.value)}});
  for (const NetValue& value : net.values) values.push_back(value_json(value));
  for (const NetNode& node : net.nodes) {
    Json::Object attrs;
    for (const auto& [name, value] : node.attrs.items())
      attrs.emplace_back(name, std::visit(AttributeJson{}, value));
    Json::Object made{{"op", Json(node.op->name)},
                      {"in", ids_json(node.in)},
                      {"out", ids_json(node.out)},
                      {"attrs", Json(std::move(attrs))}};
    if (!node.name.empty()) made.emplace_back("name", Json(node.name));
    if (node.x_scale != 0)
      made.emplace_back(
          "x", Json(Json::Object{{"scale", Json(node.x_scale)}, {"zero", Json(node.x_zero)}}));
    nodes.push_back(Json(std::move(made)));
  }
  return Json(Json::Object{{"inputs", Json(std::move(inputs))},
                           {"outputs", Json(std::move(outputs))},
                           {"values", Json(std::move(values))},
                           {"nodes", Json(std::move(nodes))}})
      .text();
}

// ---- reading --------------------------------------------------------------------------------

int small(const Json& json, std::string_view what) {
  const std::int64_t i = json.integer(what);
  if (i < 0 || i > 1'000'000) throw ValueError(cat(what, " is ", i));
  return static_cast<int>(i);
}

TypeInfo type_of(Members& members) {
  TypeInfo type;
  type.dtype = dtype_from_name(members.need("dtype").string("a dtype"));
  for (const Json& d : members.need("shape").list("a shape")) {
    const std::int64_t size = d.is_null() ? kRows : d.integer("a size");
    if (!d.is_null() && size < 0) throw ValueError(cat("a size is ", size));
    type.shape.push_back(size);
  }
  return type;
}

std::vector<int> ids_of(const Json& json) {
  std::vector<int> ids;
  for (const Json& id : json.list("a list of values")) ids.push_back(small(id, "a value's number"));
  return ids;
}

AttrValue attribute_of(const Json& json) {
  if (json.holds<bool>()) return json.boolean("");
  if (json.holds<std::int64_t>()) return json.integer("");
  if (json.holds<double>()) return json.number("");
  if (json.holds<std::string>()) return json.string("");
  Ints ints;
  for (const Json& i : json.list("an attribute"))
    ints.push_back(i.integer("an attribute's number"));
  return ints;
}

NetValue value_of(const Json& json) {
  Members members(json, "a value");
  NetValue value;
  const std::string kind = members.need("kind").string("a value's kind");
  value.type = type_of(members);
  if (kind == "input" || kind == "feed") {
    value.kind = kind == "input" ? NetValue::kInput : NetValue::kFeed;
    value.input = small(members.need("input"), "a value's input");
  } else if (kind == "constant") {
    value.kind = NetValue::kConstant;
    value.packing = packing_of(members.need("packing").string("a constant's packing"));
    if (value.packing == Packing::kSparse)
      value.blocks = members.need("blocks").integer("a number of blocks");
  } else if (kind != "node") {
    throw ValueError(cat("unknown kind of value \"", shown(kind), '"'));
  }
  if (value.kind == NetValue::kFeed) {
    value.scale = members.need("scale").number("a scale");
    value.offset = members.need("offset").number("an offset");
  }
  members.finish();
  return value;
}

// Constants lie one behind the other, each at the next line.
void place_constants(Net& net) {
  std::size_t at = 0;
  for (NetValue& value : net.values) {
    if (value.kind != NetValue::kConstant) continue;
    for (std::int64_t d : value.type.shape)
      if (d < 0) throw ValueError("a constant has rows of a batch");
    if (value.packing != Packing::kRows && value.type.shape.rank() != 2)
      throw ValueError("a constant in panels is no matrix");
    value.at = at;
    const std::size_t bytes = constant_bytes(value);
    if (bytes > net.arena_bytes || at > net.arena_bytes - bytes)
      throw ValueError(cat("the constants take more than the ", net.arena_bytes, " bytes there"));
    at += (bytes + kLine - 1) / kLine * kLine;
  }
  if (at != net.arena_bytes)
    throw ValueError(cat("the constants take ", at, " bytes, not ", net.arena_bytes));
}

Net net_of(const std::string& text) {
  const Json json = Json::parse(text, "the network");
  Members members(json, "the network");
  Net net;
  for (const Json& one : members.need("inputs").list("inputs")) {
    Members input(one, "an input");
    std::string name = input.need("name").string("an input's name");
    net.inputs.push_back({std::move(name), type_of(input)});
    input.finish();
  }
  for (const Json& one : members.need("outputs").list("outputs")) {
    Members output(one, "an output");
    std::string name = output.need("name").string("an output's name");
    net.outputs.push_back({std::move(name), small(output.need("value"), "an output's value")});
    output.finish();
  }
  for (const Json& one : members.need("values").list("values")) net.values.push_back(value_of(one));
  for (const Json& one : members.need("nodes").list("nodes")) {
    Members node(one, "a node");
    NetNode made;
    made.op = &find_op(node.need("op").string("a node's op"));
    made.in = ids_of(node.need("in"));
    made.out = ids_of(node.need("out"));
    for (const auto& [name, value] : node.need("attrs").object("a node's attributes"))
      made.attrs.set(name, attribute_of(value));
    if (const Json* name = node.find("name")) made.name = name->string("a node's name");
    if (const Json* given = node.find("x")) {
      Members x(*given, "how x is quantized");
      made.x_scale = x.need("scale").number("a scale");
      made.x_zero = small(x.need("zero"), "a zero");
      x.finish();
      if (made.x_scale == 0) throw ValueError("a scale is 0");
    }
    node.finish();
    net.nodes.push_back(std::move(made));
  }
  members.finish();
  return net;
}

std::uint64_t length_of(const std::byte* data) {
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;)
    length = length << 8 | static_cast<std::uint64_t>(data[i]);
  return length;
}

void check_arena(const Json& json, std::size_t bytes) {
  Members arena(json, "the arena");
  if (arena.need("dtype").string("the arena's dtype") != "U8")
    throw ValueError("the arena must be of bytes, U8");
  const Json::List& shape = arena.need("shape").list("the arena's shape");
  const Json::List& ends = arena.need("data_offsets").list("the arena's offsets");
  const auto size = static_cast<std::int64_t>(bytes);
  if (shape.size() != 1 || ends.size() != 2 || shape[0].integer("a size") != size ||
      ends[0].integer("an offset") != 0 || ends[1].integer("an offset") != size)
    throw ValueError(cat("the arena must be the ", bytes, " bytes behind the header"));
  arena.finish();
}

// The header with zeros for the digits of the sum.
std::uint64_t sum_of(std::string header, const std::byte* arena, std::size_t bytes) {
  header.replace(kLengthBytes + kStart.size(), kSumDigits, kSumDigits, '0');
  const auto* const data = reinterpret_cast<const std::byte*>(header.data());
  return file_sum(arena, bytes, file_sum(data, header.size()));
}

NetFile read(const std::byte* data, std::size_t bytes, std::shared_ptr<const void> owner,
             bool check_sum) {
  if (bytes < kLengthBytes + kStart.size() + kSumDigits)
    throw ValueError(cat("it has ", bytes, " bytes only"));
  const std::uint64_t length = length_of(data);
  if (length > kMostHeader || length > bytes - kLengthBytes)
    throw ValueError(cat("its header of ", length, " bytes does not fit in ", bytes, " bytes"));
  const std::size_t front = kLengthBytes + static_cast<std::size_t>(length);
  const std::string header(reinterpret_cast<const char*>(data), front);
  const std::string_view json = std::string_view(header).substr(kLengthBytes);
  if (json.starts_with(kModelStart))
    throw ValueError(
        "it is a model, which densa.models.load_model reads; freeze() makes a predictor");
  if (!json.starts_with(kStart))
    throw ValueError(json.starts_with('{') ? "it is a safetensors file, but no predictor's"
                                           : "it is no file of densa");
  if (front % kLine != 0) throw ValueError("its arena does not begin at a multiple of 64 bytes");
  const std::string sum(json.substr(kStart.size(), kSumDigits));
  if (check_sum && hex(sum_of(header, data + front, bytes - front)) != sum)
    throw ValueError("its bytes do not add up to the sum written in it: it has been changed");

  const Json parsed = Json::parse(json, "the header");
  Members members(parsed, "the header");
  NetFile file;
  for (const auto& [name, text] : members.need("__metadata__").object("the metadata"))
    file.notes[name] = text.string("metadata");
  const auto note = [&](const char* name) {
    const auto found = file.notes.find(name);
    if (found == file.notes.end()) throw ValueError(cat("its metadata has no \"", name, '"'));
    return found->second;
  };
  if (note("format") != kFormat)
    throw ValueError(cat("its format is \"", shown(note("format")), "\", not \"", kFormat, '"'));
  int version = kNetFileVersion;
  while (version > 0 && note("version") != std::to_string(version)) --version;
  if (version == 0)
    throw ValueError(cat("its version is ", shown(note("version")), "; this densa reads 1 to ",
                         kNetFileVersion, ": install a newer one, or freeze the model again"));
  file.net = net_of(note("net"));
  if (version < version_of(file.net))
    throw ValueError(cat("its version is ", version, ", which has no sparse weights"));
  for (std::string_view name : kReserved) file.notes.erase(std::string(name));
  check_arena(members.need("arena"), bytes - front);
  members.finish();
  file.net.owner = std::move(owner);
  file.net.arena = data + front;
  file.net.arena_bytes = bytes - front;
  place_constants(file.net);
  check_net(file.net);
  return file;
}

}  // namespace

std::uint64_t file_sum(const std::byte* data, std::size_t bytes, std::uint64_t start) {
  constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15;  // odd
  constexpr std::size_t kChains = 8, kWord = 8;
  std::uint64_t chains[kChains];
  for (std::size_t i = 0; i < kChains; ++i) chains[i] = i;
  chains[0] += start;
  std::size_t at = 0;
  for (; at + kChains * kWord <= bytes; at += kChains * kWord)
    for (std::size_t i = 0; i < kChains; ++i) {
      std::uint64_t word = 0;
      std::memcpy(&word, data + at + i * kWord, kWord);
      chains[i] = chains[i] * kFactor + word;
    }
  for (; at < bytes; ++at) chains[0] = chains[0] * kFactor + static_cast<std::uint64_t>(data[at]);
  std::uint64_t sum = bytes;
  for (std::uint64_t chain : chains) sum = sum * kFactor + chain;
  return sum;
}

std::string net_file_header(const Net& net, const std::map<std::string, std::string>& notes) {
  check_net(net);
  Json::Object metadata{{"sum", Json(std::string(kSumDigits, '0'))},
                        {"format", Json(kFormat)},
                        {"version", Json(std::to_string(version_of(net)))},
                        {"net", Json(net_text(net))}};
  for (const auto& [name, text] : notes) {
    if (std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved))
      throw ValueError(cat("a note cannot be called \"", name, '"'));
    metadata.emplace_back(name, Json(text));
  }
  const auto size = static_cast<std::int64_t>(net.arena_bytes);
  std::string header =
      Json(Json::Object{
               {"__metadata__", Json(std::move(metadata))},
               {"arena", Json(Json::Object{{"dtype", Json("U8")},
                                           {"shape", Json(Json::List{Json(size)})},
                                           {"data_offsets", Json(Json::List{Json(std::int64_t{0}),
                                                                            Json(size)})}})}})
          .text();
  header.resize((kLengthBytes + header.size() + kLine - 1) / kLine * kLine - kLengthBytes, ' ');
  if (header.size() > kMostHeader)
    throw ValueError(cat("the network's description takes ", header.size(), " bytes; at most ",
                         kMostHeader, " fit into a file"));
  std::string front(kLengthBytes, '\0');
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    front[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
  front += header;
  const std::uint64_t sum = sum_of(front, net.arena, net.arena_bytes);
  front.replace(kLengthBytes + kStart.size(), kSumDigits, hex(sum));
  return front;
}

NetFile read_net_file(const std::byte* data, std::size_t bytes, std::shared_ptr<const void> owner,
                      bool check_sum) {
  try {
    return read(data, bytes, std::move(owner), check_sum);
  } catch (const ValueError& error) {
    throw ValueError(cat("not a predictor that this densa can read: ", error.what()));
  } catch (const TypeError& error) {
    throw ValueError(cat("not a predictor that this densa can read: ", error.what()));
  } catch (const MemoryError& error) {
    throw ValueError(cat("not a predictor that this densa can read: ", error.what()));
  } catch (const IndexError& error) {
    throw ValueError(cat("not a predictor that this densa can read: ", error.what()));
  }
}

FileBytes open_file(const std::string& path, bool map) {
  const auto failed = [&](const char* what) {
    return ValueError(cat(path, ": ", what, ": ", std::strerror(errno)));
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw failed("cannot be opened");
  const std::shared_ptr<void> closer(nullptr, [file](void*) { ::close(file); });
  struct stat about {};
  if (::fstat(file, &about) != 0) throw failed("cannot be read");
  if (!S_ISREG(about.st_mode)) throw ValueError(cat(path, ": not a file"));
  const auto bytes = static_cast<std::size_t>(about.st_size);
  if (map && bytes > 0) {
    void* const at = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (at == MAP_FAILED) throw failed("cannot be mapped");
    return {static_cast<const std::byte*>(at), bytes,
            std::shared_ptr<const void>(
                at, [bytes](const void* p) { ::munmap(const_cast<void*>(p), bytes); })};
  }
  const auto storage = Storage::allocate(std::max<std::size_t>(bytes, 1));
  auto* const to = static_cast<std::byte*>(storage->data());
  for (std::size_t at = 0; at < bytes;) {
    const ssize_t got = ::read(file, to + at, bytes - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw failed("cannot be read");
    if (got == 0) throw ValueError(cat(path, ": it ended while it was read"));
    at += static_cast<std::size_t>(got);
  }
  return {to, bytes, storage};
}

}  // namespace densa
