#include <gtest/gtest.h>

#include "berth/describe.h"

namespace berth {
namespace {

enum class Colour { red, green };
BOOST_DESCRIBE_ENUM(Colour, red, green)

struct Address {
  std::string street;
  std::optional<std::int32_t> number;
};
BOOST_DESCRIBE_STRUCT(Address, (), (street, number))

struct Order {
  std::string name;
  std::int64_t count = 1;
  std::uint8_t level = 0;
  double price = 9.5;
  bool gift = false;
  Colour colour = Colour::red;
  std::optional<std::string> note;
  std::vector<Address> addresses;
  Json extra;

  static void annotate(Notes<Order>& note_of) {
    note_of(&Order::name).title("Name").description("Who \"orders\".").length(1, 5).header("Name");
    note_of(&Order::count).description("How many.").range(1, 10).optional();
    note_of(&Order::level).optional();
    note_of(&Order::price).minimum(0.5).optional();
    note_of(&Order::gift).optional();
    note_of(&Order::colour).optional();
    note_of(&Order::addresses).length_max(2).optional();
    note_of(&Order::extra).optional();
  }
};
BOOST_DESCRIBE_STRUCT(Order, (), (name, count, level, price, gift, colour, note, addresses, extra))

TEST(Schema, SaysEverythingTheStructAndItsNotesSay) {
  EXPECT_EQ(
      json_schema<Order>(),
      R"({"type":"object","properties":{)"
      R"("name":{"type":"string","title":"Name","description":"Who \"orders\".","minLength":1,"maxLength":5,)"
      R"("x-mcp-header":"Name"},)"
      R"("count":{"type":"integer","description":"How many.","minimum":1,"maximum":10,"default":1},)"
      R"("level":{"type":"integer","minimum":0,"default":0},)"
      R"("price":{"type":"number","minimum":0.5,"default":9.5},)"
      R"("gift":{"type":"boolean","default":false},)"
      R"("colour":{"type":"string","enum":["red","green"],"default":"red"},)"
      R"("note":{"type":"string"},)"
      R"("addresses":{"type":"array","items":{"type":"object","properties":{)"
      R"("street":{"type":"string"},"number":{"type":"integer"}},"required":["street"],)"
      R"("additionalProperties":false},"maxItems":2,"default":[]},)"
      R"("extra":{"default":null}},"required":["name"],"additionalProperties":false})");
}

TEST(Schema, OfNoArgumentsIsAnEmptyObject) {
  EXPECT_EQ(json_schema<NoArguments>(), R"({"type":"object","properties":{},"additionalProperties":false})");
}

TEST(Schema, OfAFormLeavesAdditionalPropertiesUnsaid) {
  EXPECT_EQ(detail::schema_text(detail::shape_of<Address>(), detail::Unknown::unsaid),
            R"({"type":"object","properties":{"street":{"type":"string"},"number":{"type":"integer"}},)"
            R"("required":["street"]})");
}

TEST(Arguments, AreReadIntoTheStructAndWrittenBack) {
  const std::string text =
      R"({"name":"Zo\u00eb","count":3.0,"level":7,"price":2,"gift":true,"colour":"green","note":"n",)"
      R"("addresses":[{"street":"A","number":4},{"street":"B"}],"extra":{"k":[1, 2]}})";
  const auto order = from_json<Order>(json::Slice::trusted(text));
  ASSERT_TRUE(order) << order.error().message();
  EXPECT_EQ(order->name, "Zoë");
  EXPECT_EQ(order->count, 3);
  EXPECT_EQ(order->level, 7);
  EXPECT_EQ(order->colour, Colour::green);
  EXPECT_EQ(order->addresses.size(), 2u);
  EXPECT_EQ(to_json(*order),
            R"({"name":"Zoë","count":3,"level":7,"price":2,"gift":true,"colour":"green","note":"n",)"
            R"("addresses":[{"street":"A","number":4},{"street":"B"}],"extra":{"k":[1, 2]}})");
}

TEST(Arguments, ThatAreAbsentKeepTheInitializers) {
  const auto order = from_json<Order>(json::Slice::trusted(R"({"name":"a"})"));
  ASSERT_TRUE(order);
  EXPECT_EQ(order->price, 9.5);
  EXPECT_EQ(to_json(*order), R"({"name":"a","count":1,"level":0,"price":9.5,"gift":false,"colour":"red",)"
                             R"("addresses":[],"extra":null})");
}

struct Mistake {
  std::string_view arguments;
  std::string_view told;
};

TEST(Arguments, TellEveryMistake) {
  const Mistake mistakes[] = {
      {R"({})", "'name' is required."},
      {R"([])", "The value must be an object, not []."},
      {R"({"name":1})", "'name' must be a string, not 1."},
      {R"({"name":""})", "'name' must be 1 to 5 characters long, not 0."},
      {R"({"name":"ééééé"})", ""},
      {R"({"name":"éééééé"})", "'name' must be 1 to 5 characters long, not 6."},
      {R"({"name":"a","count":0})", "'count' must be an integer from 1 to 10, not 0."},
      {R"({"name":"a","count":1.5})", "'count' must be an integer from 1 to 10, not 1.5."},
      {R"({"name":"a","count":"3"})", "'count' must be an integer from 1 to 10, not \"3\"."},
      {R"({"name":"a","level":256})", "'level' must be an integer from 0 to 255, not 256."},
      {R"({"name":"a","level":-1})", "'level' must be an integer from 0 to 255, not -1."},
      {R"({"name":"a","price":0.1})", "'price' must be a number of at least 0.5, not 0.1."},
      {R"({"name":"a","gift":"true"})", "'gift' must be true or false, not \"true\"."},
      {R"({"name":"a","colour":"blue"})", R"('colour' must be one of "red", "green", not "blue".)"},
      {R"({"name":"a","note":null})", ""},
      {R"({"name":"a","note":5})", "'note' must be a string, not 5."},
      {R"({"name":"a","adresses":[]})", "'adresses' is not known; did you mean 'addresses'?"},
      {R"({"name":"a","addresses":[{"street":"s"},{"number":"x"}]})",
       "'addresses[1].number' must be an integer, not \"x\".\n'addresses[1].street' is required."},
      {R"({"name":"a","addresses":[{"street":"s"},{"street":"s"},{"street":"s"}]})",
       "'addresses' must have at most 2 elements, not 3."},
      {R"({"count":0,"gift":1})",
       "'count' must be an integer from 1 to 10, not 0.\n'gift' must be true or false, not 1.\n"
       "'name' is required."},
  };
  for (const Mistake& mistake : mistakes) {
    const auto order = from_json<Order>(json::Slice::trusted(mistake.arguments));
    EXPECT_EQ(order ? "" : order.error().message(), mistake.told) << mistake.arguments;
  }
}

TEST(Arguments, ThatComeAsTextAreReadByTheMembersType) {
  Order order;
  detail::Reader reader(detail::Reader::Source::text);
  const std::string_view text = R"({"name":"5","count":"7","price":"1.25","gift":"true","colour":"green"})";
  detail::shape_of<Order>().read(json::Slice::trusted(text), &order, {}, reader);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(order.name, "5");
  EXPECT_EQ(order.count, 7);
  EXPECT_EQ(order.price, 1.25);
  EXPECT_TRUE(order.gift);
  detail::shape_of<Order>().read(json::Slice::trusted(R"({"name":"x","count":"7a"})"), &order, {}, reader);
  EXPECT_EQ(reader.problems(),
            std::vector<std::string>{"'count' must be an integer from 1 to 10, not \"7a\"."});
}

TEST(Arguments, LongValuesAreCutInMessages) {
  const std::string text = R"({"name":"a","count":")" + std::string(500, 'x') + "\"}";
  const auto order = from_json<Order>(json::Slice::trusted(text));
  ASSERT_FALSE(order);
  EXPECT_LT(order.error().message().size(), 130u);
}

struct Node {
  std::vector<Node> children;
};
BOOST_DESCRIBE_STRUCT(Node, (), (children))

TEST(SchemaDeathTest, OfAStructInsideItselfIsRefused) {
  EXPECT_DEATH(json_schema<Node>(), "contains itself");
}

struct BadHeader {
  double ratio = 0;
  static void annotate(Notes<BadHeader>& note) { note(&BadHeader::ratio).header("Ratio"); }
};
BOOST_DESCRIBE_STRUCT(BadHeader, (), (ratio))

TEST(SchemaDeathTest, HeadersAreForStringsIntegersAndBools) {
  EXPECT_DEATH(detail::check_headers(detail::shape_of<BadHeader>()), "string, integer and bool");
}

}  // namespace
}  // namespace berth
