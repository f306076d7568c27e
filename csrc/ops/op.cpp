#include "ops/op.h"

#include <algorithm>

namespace densa {
namespace {

auto place_of(const std::vector<std::pair<std::string, AttrValue>>& items, std::string_view name) {
  return std::lower_bound(items.begin(), items.end(), name,
                          [](const auto& item, std::string_view key) { return item.first < key; });
}

const AttrValue* lookup(const std::vector<std::pair<std::string, AttrValue>>& items,
                        std::string_view name) {
  for (const auto& item : items)
    if (item.first == name) return &item.second;
  return nullptr;
}

const char* kind_of(const AttrValue& value) {
  static constexpr const char* kNames[] = {"a bool", "an int", "a float", "a string",
                                           "a list of ints"};
  return kNames[value.index()];
}

[[noreturn]] void wrong_kind(std::string_view name, const char* wanted, const AttrValue& value) {
  throw TypeError(cat("attribute '", name, "' is ", kind_of(value), " but must be ", wanted));
}

// Shortest text that reads back as the same double and does not look like an integer.
std::string double_text(double number) {
  std::ostringstream out;
  for (int digits : {6, 9, 15, 17}) {
    out.str("");
    out.precision(digits);
    out << number;
    if (number != number || std::stod(out.str()) == number) break;
  }
  std::string text = out.str();
  if (text.find_first_of(".ein") == std::string::npos) text += ".0";
  return text;
}

struct Text {
  std::string operator()(bool b) const { return b ? "true" : "false"; }
  std::string operator()(std::int64_t i) const { return std::to_string(i); }
  std::string operator()(double d) const { return double_text(d); }
  std::string operator()(const std::string& s) const { return '"' + s + '"'; }
  std::string operator()(const Ints& list) const {
    std::string text = "[";
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i > 0) text += ", ";
      text += std::to_string(list[i]);
    }
    return text + "]";
  }
};

}  // namespace

Attrs::Attrs(std::initializer_list<std::pair<std::string, AttrValue>> items) {
  items_.reserve(items.size());
  for (const auto& [name, value] : items) set(name, value);
}

void Attrs::set(std::string name, AttrValue value) {
  const auto at = place_of(items_, name) - items_.begin();
  if (at < static_cast<std::ptrdiff_t>(items_.size()) && items_[at].first == name) {
    items_[at].second = std::move(value);
  } else {
    items_.emplace(items_.begin() + at, std::move(name), std::move(value));
  }
}

bool Attrs::has(std::string_view name) const { return lookup(items_, name) != nullptr; }

bool Attrs::get_bool(std::string_view name, bool missing) const {
  const AttrValue* value = lookup(items_, name);
  if (value == nullptr) return missing;
  if (const bool* b = std::get_if<bool>(value)) return *b;
  if (const std::int64_t* i = std::get_if<std::int64_t>(value); i && (*i == 0 || *i == 1))
    return *i == 1;
  wrong_kind(name, "a bool", *value);
}

std::int64_t Attrs::get_int(std::string_view name, std::int64_t missing) const {
  const AttrValue* value = lookup(items_, name);
  if (value == nullptr) return missing;
  if (const std::int64_t* i = std::get_if<std::int64_t>(value)) return *i;
  wrong_kind(name, "an int", *value);
}

double Attrs::get_double(std::string_view name, double missing) const {
  const AttrValue* value = lookup(items_, name);
  if (value == nullptr) return missing;
  if (const double* d = std::get_if<double>(value)) return *d;
  if (const std::int64_t* i = std::get_if<std::int64_t>(value)) return static_cast<double>(*i);
  wrong_kind(name, "a float", *value);
}

std::string Attrs::get_string(std::string_view name, std::string_view missing) const {
  const AttrValue* value = lookup(items_, name);
  if (value == nullptr) return std::string(missing);
  if (const std::string* s = std::get_if<std::string>(value)) return *s;
  wrong_kind(name, "a string", *value);
}

Ints Attrs::get_ints(std::string_view name, const Ints& missing) const {
  const AttrValue* value = lookup(items_, name);
  if (value == nullptr) return missing;
  if (const Ints* list = std::get_if<Ints>(value)) return *list;
  if (const std::int64_t* i = std::get_if<std::int64_t>(value)) return {*i};
  wrong_kind(name, "a list of ints", *value);
}

std::string Attrs::text() const {
  std::string text;
  for (const auto& [name, value] : items_) {
    if (!text.empty()) text += ", ";
    text += name + "=" + std::visit(Text{}, value);
  }
  return text;
}

}  // namespace densa
