#include "deploy/compose.h"

#include <gtest/gtest.h>

#include "deploy/fillings.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

Fillings fillings() {
  Fillings out;
  out.values = {
      {"name", "orders"},
      {"nothing", nullptr},
      {"reference", reference("Vpc")},
      {"list", json::array{"one", reference("Two"), json::object{{"a", 1}, {"b", json::array{true}}}}},
      {"block", json::object{{"Key", "x: y"}, {"Inner", json::object{{"Deep", sub("${A}-b")}}}}},
      {"empty", json::array{}},
      {"half", 70.5},
      {"whole", 70.0}};
  out.conditions = {{"yes", true}, {"no", false}};
  out.repetitions["zone"] = {{{{"{zone}", "A"}}, {{"cidr", "10.0.0.0/24"}}},
                             {{{"{zone}", "B"}}, {{"cidr", nullptr}}}};
  return out;
}

TEST(Fragment, is_filled_with_values_references_and_blocks) {
  EXPECT_EQ(fill(R"(Name: !Berth name
Gone: !Berth nothing
Vpc: !Berth reference
List: !Berth list
  Block: !Berth block
Empty: !Berth empty
Half: !Berth half
Whole: !Berth whole
# !Berth in a comment stays
)",
                 fillings()),
            R"(Name: orders
Vpc: !Ref Vpc
List:
  - one
  - !Ref Two
  - a: 1
    b:
      - true
  Block:
    Key: "x: y"
    Inner:
      Deep: !Sub "${A}-b"
Empty: []
Half: 70.5
Whole: 70
# !Berth in a comment stays
)");
}

TEST(Fragment, is_filled_inside_of_lists) {
  EXPECT_EQ(
      fill("- Key: x\n  Value: !Berth list\n- Value: !Berth block\n- !Berth reference\n- !Berth block\n",
           fillings()),
      R"(- Key: x
  Value:
    - one
    - !Ref Two
    - a: 1
      b:
        - true
- Value:
    Key: "x: y"
    Inner:
      Deep: !Sub "${A}-b"
- !Ref Vpc
- Key: "x: y"
  Inner:
    Deep: !Sub "${A}-b"
)");
}

TEST(Fragment, has_parts_that_are_there_or_not) {
  EXPECT_EQ(fill(R"(A:
  # berth: if yes
  # about B
  B:
    C: 1

  # berth: if not yes
  D:
    E: 1

  F: 2
  # berth: if no
  G:
    - 1
  List:
    # berth: if not no
    - x: 1
      y: 2
    # berth: if no
    - z: 1
    - w: 1
)",
                 fillings()),
            R"(A:
  # about B
  B:
    C: 1

  F: 2
  List:
    - x: 1
      y: 2
    - w: 1
)");
}

TEST(Fragment, is_repeated_for_each_turn_with_its_own_fillings) {
  EXPECT_EQ(fill(R"(  # berth: each zone
  # one a zone
  Subnet{zone}:
    Cidr: !Berth cidr
    # berth: if yes
    Name: "{zone} of ${AWS::StackName}"

  Last: 1
)",
                 fillings()),
            R"(  # one a zone
  SubnetA:
    Cidr: "10.0.0.0/24"
    Name: "A of ${AWS::StackName}"

  SubnetB:
    Name: "B of ${AWS::StackName}"

  Last: 1
)");
}

TEST(FragmentDeathTest, that_asks_for_an_unknown_name_is_a_mistake_of_the_program) {
  EXPECT_DEATH(fill("A: !Berth nmae\n", fillings()), "nmae");
  EXPECT_DEATH(fill("# berth: if maybe\nA: 1\n", fillings()), "maybe");
}

TEST(TemplateYaml, becomes_json_with_functions_in_their_long_form) {
  Result<json::value> document = yaml_to_json(R"(
A: !Ref B
C: !GetAtt D.E.F
G: !Sub ${H}-i
J: !If [K, !Ref L, !Ref "AWS::NoValue"]
M: !Select ["0", !GetAZs ""]
Typed: [true, 1, -2, 1.5, "1", "true", 012345678901, 2012-10-17, x]
N: !Sub |
  {"a": ["${B}",
    1]}
O: !Not [!Equals [!Ref P, ""]]
)");
  ASSERT_TRUE(document) << document.error().message();
  EXPECT_EQ(
      json::serialize(*document),
      R"({"A":{"Ref":"B"},"C":{"Fn::GetAtt":["D","E.F"]},"G":{"Fn::Sub":"${H}-i"},)"
      R"("J":{"Fn::If":["K",{"Ref":"L"},{"Ref":"AWS::NoValue"}]},"M":{"Fn::Select":["0",{"Fn::GetAZs":""}]},)"
      R"("Typed":[true,1,-2,1.5E0,"1","true",12345678901,"2012-10-17","x"],)"
      R"("N":{"Fn::Sub":"{\"a\":[\"${B}\",1]}"},"O":{"Fn::Not":[{"Fn::Equals":[{"Ref":"P"},""]}]}})");
  EXPECT_FALSE(yaml_to_json("a: [b"));
}

TEST(Subnets, are_equal_parts_of_the_network) {
  EXPECT_EQ(subnet_of("10.20.0.0/16", 4, 1), "10.20.16.0/20");
  EXPECT_EQ(subnet_of("10.20.0.0/16", 7, 5), "10.20.10.0/23");
  EXPECT_EQ(subnet_of("10.30.16.0/20", 7, 1), "10.30.16.32/27");
  EXPECT_EQ(subnet_of("10.30.16.0/20", 4, 6), "10.30.22.0/24");
}

}  // namespace
}  // namespace berth::deploy
