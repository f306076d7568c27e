#include "predict/json.h"

#include <charconv>
#include <cmath>

#include "base/error.h"

namespace densa {
namespace {

constexpr int kMostDepth = 16;

// Whether all bytes form characters: no stray, missing or needless ones.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t k) {
      return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U;
    };
    const unsigned first = byte(0);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xC2 ? 0
                               : first < 0xE0 ? 2
                               : first < 0xF0 ? 3
                               : first < 0xF5 ? 4
                                              : 0;
    if (length == 0) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((byte(k) & 0xC0) != 0x80) return false;
    if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) >= 0xA0) ||
        (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) >= 0x90))
      return false;
    i += length;
  }
  return true;
}

class Parser {
 public:
  Parser(std::string_view text, std::string_view what) : text_(text), what_(what) {}

  Json run() {
    Json json = value(0);
    spaces();
    if (at_ != text_.size()) fail("something behind the end");
    return json;
  }

 private:
  [[noreturn]] void fail(std::string_view why) const {
    throw ValueError(cat(what_, ": not valid JSON at byte ", at_, ": ", why));
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void spaces() {
    while (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r') ++at_;
  }
  bool take(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(cat("expected '", c, "'"));
  }
  bool word(std::string_view w) {
    if (text_.substr(at_, w.size()) != w) return false;
    at_ += w.size();
    return true;
  }

  Json value(int depth) {
    if (depth > kMostDepth) fail("nested too deeply");
    spaces();
    switch (peek()) {
      case '{': return object(depth);
      case '[': return list(depth);
      case '"': return Json(string());
      case 't':
        if (word("true")) return Json(true);
        break;
      case 'f':
        if (word("false")) return Json(false);
        break;
      case 'n':
        if (word("null")) return {};
        break;
      default: return number();
    }
    fail("unknown word");
  }

  Json object(int depth) {
    expect('{');
    Json::Object made;
    spaces();
    if (take('}')) return Json(std::move(made));
    do {
      spaces();
      std::string key = string();
      for (const auto& member : made)
        if (member.first == key) fail(cat("the key \"", shown(key), "\" comes twice"));
      spaces();
      expect(':');
      made.emplace_back(std::move(key), value(depth + 1));
      spaces();
    } while (take(','));
    expect('}');
    return Json(std::move(made));
  }

  Json list(int depth) {
    expect('[');
    Json::List made;
    spaces();
    if (take(']')) return Json(std::move(made));
    do {
      made.push_back(value(depth + 1));
      spaces();
    } while (take(','));
    expect(']');
    return Json(std::move(made));
  }

  std::string string() {
    expect('"');
    std::string made;
    while (true) {
      if (at_ >= text_.size()) fail("a string without end");
      const char c = text_[at_++];
      if (c == '"') {
        if (!is_utf8(made)) fail("a string that is not UTF-8");
        return made;
      }
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
      if (c == '\\') {
        escape(made);
      } else {
        made += c;
      }
    }
  }

  void escape(std::string& made) {
    if (at_ >= text_.size()) fail("a string without end");
    switch (text_[at_++]) {
      case '"': made += '"'; return;
      case '\\': made += '\\'; return;
      case '/': made += '/'; return;
      case 'b': made += '\b'; return;
      case 'f': made += '\f'; return;
      case 'n': made += '\n'; return;
      case 'r': made += '\r'; return;
      case 't': made += '\t'; return;
      case 'u': {
        std::uint32_t code = hex4();
        if (code >= 0xDC00 && code < 0xE000) fail("half a character");
        if (code >= 0xD800 && code < 0xDC00) {
          if (!word("\\u")) fail("half a character");
          const std::uint32_t low = hex4();
          if (low < 0xDC00 || low >= 0xE000) fail("half a character");
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        utf8(made, code);
        return;
      }
      default: fail("unknown escape");
    }
  }

  std::uint32_t hex4() {
    std::uint32_t code = 0;
    const char* const first = text_.data() + at_;
    if (text_.size() - at_ < 4) fail("a string without end");
    const auto [end, error] = std::from_chars(first, first + 4, code, 16);
    if (error != std::errc() || end != first + 4) fail("four hexadecimal digits expected");
    at_ += 4;
    return code;
  }

  static void utf8(std::string& made, std::uint32_t code) {
    const auto add = [&](std::uint32_t byte) { made += static_cast<char>(byte); };
    if (code < 0x80) {
      add(code);
    } else if (code < 0x800) {
      add(0xC0 | code >> 6), add(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      add(0xE0 | code >> 12), add(0x80 | (code >> 6 & 0x3F)), add(0x80 | (code & 0x3F));
    } else {
      add(0xF0 | code >> 18), add(0x80 | (code >> 12 & 0x3F));
      add(0x80 | (code >> 6 & 0x3F)), add(0x80 | (code & 0x3F));
    }
  }

  bool digit() const { return peek() >= '0' && peek() <= '9'; }
  void digits() {
    if (!digit()) fail("a digit expected");
    while (digit()) ++at_;
  }
  Json number() {
    const std::size_t first = at_;
    take('-');
    if (!take('0')) digits();
    bool whole = true;
    if (take('.')) whole = false, digits();
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      whole = false;
      if (!take('+')) take('-');
      digits();
    }
    const char *const begin = text_.data() + first, *const end = text_.data() + at_;
    if (whole) {
      std::int64_t i = 0;
      if (std::from_chars(begin, end, i).ec != std::errc()) fail("a number that is too large");
      return Json(i);
    }
    double d = 0;
    if (std::from_chars(begin, end, d).ec != std::errc()) fail("a number that is too large");
    return Json(d);
  }

  std::string_view text_, what_;
  std::size_t at_ = 0;
};

void write_string(std::string& out, const std::string& s) {
  out += '"';
  for (const char c : s) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      static constexpr char kHex[] = "0123456789abcdef";
      out += "\\u00";
      out += kHex[c >> 4 & 15];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

struct Writer {
  std::string& out;
  void operator()(std::monostate) const { out += "null"; }
  void operator()(bool b) const { out += b ? "true" : "false"; }
  void operator()(std::int64_t i) const { out += std::to_string(i); }
  void operator()(double d) const {
    if (!std::isfinite(d)) throw ValueError("JSON holds finite numbers only");
    char text[40];
    const auto end = std::to_chars(text, text + sizeof text, d).ptr;
    out.append(text, end);
    if (std::string_view(text, static_cast<std::size_t>(end - text)).find_first_of(".e") ==
        std::string_view::npos)
      out += ".0";  // not a whole number's text
  }
  void operator()(const std::string& s) const { write_string(out, s); }
  void operator()(const Json::List& list) const;
  void operator()(const Json::Object& object) const;
};

}  // namespace

Json Json::parse(std::string_view text, std::string_view what) { return Parser(text, what).run(); }

namespace {

void Writer::operator()(const Json::List& list) const {
  out += '[';
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += ',';
    out += list[i].text();
  }
  out += ']';
}
void Writer::operator()(const Json::Object& object) const {
  out += '{';
  for (std::size_t i = 0; i < object.size(); ++i) {
    if (i > 0) out += ',';
    write_string(out, object[i].first);
    out += ':';
    out += object[i].second.text();
  }
  out += '}';
}

[[noreturn]] void wrong(std::string_view what, std::string_view kind) {
  throw ValueError(cat(what, " must be ", kind));
}

}  // namespace

std::string Json::text() const {
  std::string out;
  std::visit(Writer{out}, value_);
  return out;
}

bool Json::boolean(std::string_view what) const {
  if (const auto* b = std::get_if<bool>(&value_)) return *b;
  wrong(what, "true or false");
}
std::int64_t Json::integer(std::string_view what) const {
  if (const auto* i = std::get_if<std::int64_t>(&value_)) return *i;
  wrong(what, "a whole number");
}
double Json::number(std::string_view what) const {
  if (const auto* d = std::get_if<double>(&value_)) return *d;
  if (const auto* i = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*i);
  wrong(what, "a number");
}
const std::string& Json::string(std::string_view what) const {
  if (const auto* s = std::get_if<std::string>(&value_)) return *s;
  wrong(what, "a string");
}
const Json::List& Json::list(std::string_view what) const {
  if (const auto* list = std::get_if<List>(&value_)) return *list;
  wrong(what, "a list");
}
const Json::Object& Json::object(std::string_view what) const {
  if (const auto* object = std::get_if<Object>(&value_)) return *object;
  wrong(what, "an object");
}

std::string shown(std::string_view text) {
  std::string out(text.substr(0, 40));
  for (char& c : out)
    if (c < 0x20 || c > 0x7E) c = '?';
  return out;
}

Members::Members(const Json& json, std::string_view what)
    : object_(json.object(what)), what_(what), asked_(object_.size()) {}

const Json* Members::find(std::string_view name) {
  for (std::size_t i = 0; i < object_.size(); ++i)
    if (object_[i].first == name) {
      asked_[i] = true;
      return &object_[i].second;
    }
  return nullptr;
}
const Json& Members::need(std::string_view name) {
  if (const Json* found = find(name)) return *found;
  throw ValueError(cat(what_, " has no \"", name, '"'));
}
void Members::finish() const {
  for (std::size_t i = 0; i < object_.size(); ++i)
    if (!asked_[i])
      throw ValueError(cat(what_, " has an unknown key \"", shown(object_[i].first), '"'));
}

}  // namespace densa
