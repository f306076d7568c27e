// JSON as densa's files use it, read strictly: no doubled keys, no NaN, nothing behind the value,
// limited depth. Whole numbers and others are different things.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace densa {

class Json {
 public:
  using List = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;  // in the order of the text

  Json() = default;  // null
  Json(bool b) : value_(b) {}
  Json(std::int64_t i) : value_(i) {}
  Json(int i) : value_(std::int64_t{i}) {}
  Json(double d) : value_(d) {}
  Json(std::string s) : value_(std::move(s)) {}
  Json(std::string_view s) : value_(std::string(s)) {}
  Json(const char* s) : value_(std::string(s)) {}
  Json(List list) : value_(std::move(list)) {}
  Json(Object object) : value_(std::move(object)) {}

  // Throws ValueError with the place of the first mistake; `what` names the text.
  static Json parse(std::string_view text, std::string_view what);
  // Compact; throws ValueError for a number that is not finite.
  std::string text() const;

  // Each throws ValueError, naming `what`, unless the value is of that kind.
  bool boolean(std::string_view what) const;
  std::int64_t integer(std::string_view what) const;
  double number(std::string_view what) const;  // a whole one, too
  const std::string& string(std::string_view what) const;
  const List& list(std::string_view what) const;
  const Object& object(std::string_view what) const;

  bool is_null() const { return holds<std::monostate>(); }
  template <class T>
  bool holds() const {
    return std::holds_alternative<T>(value_);
  }

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Object> value_;
};

// Text of a file as an error may show it: its beginning, in plain characters.
std::string shown(std::string_view text);

// The members of an object by name, which must all be asked for: finish() throws for others.
class Members {
 public:
  Members(const Json& json, std::string_view what);
  const Json& need(std::string_view name);  // throws ValueError where it is missing
  const Json* find(std::string_view name);  // null where it is missing
  void finish() const;

 private:
  const Json::Object& object_;
  std::string what_;
  std::vector<bool> asked_;
};

}  // namespace densa
