#pragma once

#include <string>
#include <string_view>

/// A sheet of SVG: shapes and text with the classes of its style, added from back to front.
namespace berth::deploy {

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  double right() const { return x + width; }
  double bottom() const { return y + height; }
  double centre() const { return x + width / 2; }
  double middle() const { return y + height / 2; }
};

/// Small drawings of our own for what a box is.
enum class Glyph : unsigned char { client, network, compute, storage, security, monitoring };

class Page {
 public:
  /// `name` keeps ids apart where several drawings share a document.
  explicit Page(std::string_view name);

  void rect(const Box& box, std::string_view style, double radius);
  /// Text with its baseline at y; cut with an ellipsis to be at most `width_max` wide (0: never).
  enum class Anchor : unsigned char { start, middle, end };
  void text(double x, double y, std::string_view style, std::string_view words, Anchor anchor = Anchor::start,
            double width_max = 0);
  /// A line through points "x,y x,y", with a head at its end or without.
  void line(std::string_view points);
  void arrow(std::string_view points);
  void glyph(Glyph glyph, double x, double y);
  void dot(double x, double y, std::string_view style);

  /// A box with a bar of its glyph's colour, a title and lines of small print beneath.
  void card(const Box& box, Glyph glyph, std::string_view title, std::string_view line,
            std::string_view second = "");

  /// The whole document.
  std::string finish(double width, double height, std::string_view title, std::string_view description) const;

 private:
  std::string name_;
  std::string body_;
};

/// Without what XML reads as markup or cannot hold.
std::string xml_text(std::string_view text);

}  // namespace berth::deploy
