#include "aws/answer.h"

#include <gtest/gtest.h>

#include "aws/query.h"
#include "aws/services.h"

namespace berth::aws {
namespace {

std::string json_of(std::string_view xml) {
  const auto read = xml_to_json(xml);
  return read ? boost::json::serialize(*read) : read.error().message();
}

TEST(Xml, BecomesTheJsonOfTheApiReference) {
  EXPECT_EQ(json_of("<R><Stacks><member><StackName>a</StackName><Outputs/></member></Stacks></R>"),
            R"({"Stacks":[{"StackName":"a","Outputs":""}]})");
  EXPECT_EQ(json_of("<R><vpcSet><item><vpcId>v-1</vpcId></item><item><vpcId>v-2</vpcId></item></vpcSet></R>"),
            R"({"vpcSet":[{"vpcId":"v-1"},{"vpcId":"v-2"}]})");
  EXPECT_EQ(json_of("<R><names><member>a</member></names></R>"), R"({"names":["a"]})");
  EXPECT_EQ(
      json_of(
          R"(<?xml version="1.0"?><R xmlns="u"><A x="1">&lt;b&#x2713; &amp;</A><B><![CDATA[<c>]]></B></R>)"),
      R"({"A":"<b✓ &","B":"<c>"})");
  EXPECT_EQ(json_of("<R><A>1</A>\n <A>2</A></R>"), R"({"A":["1","2"]})");
  EXPECT_EQ(json_of("<R><HostedZones><HostedZone><Id>z</Id></HostedZone></HostedZones></R>"),
            R"({"HostedZones":[{"Id":"z"}]})");
  EXPECT_EQ(json_of("<R><Aliases><Quantity>1</Quantity><Items><CNAME>c</CNAME></Items></Aliases></R>"),
            R"({"Aliases":{"Quantity":"1","Items":["c"]}})");
  EXPECT_EQ(json_of("<R><Attributes><entry><key>k</key><value>v</value></entry></Attributes></R>"),
            R"({"Attributes":{"k":"v"}})");
  EXPECT_EQ(json_of("<R/>"), "{}");
  EXPECT_EQ(json_of("<R>text</R>"), R"({"Value":"text"})");
}

TEST(Xml, KnowsS3sListsOfOne) {
  EXPECT_EQ(json_of("<ListBucketResult><Name>b</Name><Contents><Key>k</Key></Contents></ListBucketResult>"),
            R"({"Name":"b","Contents":[{"Key":"k"}]})");
  EXPECT_EQ(
      json_of("<ListVersionsResult><Version><Key>k</Key></Version><DeleteMarker><Key>d</Key></DeleteMarker>"
              "</ListVersionsResult>"),
      R"({"Version":[{"Key":"k"}],"DeleteMarker":[{"Key":"d"}]})");
}

TEST(Xml, RefusesWhatIsNoAnswerOfAws) {
  EXPECT_NE(json_of("<R><A></R>").find("The XML at line 1"), std::string::npos);
  EXPECT_NE(json_of("").find("no element found"), std::string::npos);
  EXPECT_NE(json_of("<!DOCTYPE R [<!ENTITY a \"b\">]><R>&a;</R>").find("document type"), std::string::npos);
  EXPECT_NE(json_of("<R>\xff</R>").find("The XML at line 1"), std::string::npos);
  std::string deep;
  for (int level = 0; level < 100; ++level) deep += "<a>";
  EXPECT_NE(json_of(deep).find("deeper than 64 levels"), std::string::npos);
}

TEST(Query, WritesMembersStructuresAndScalars) {
  const auto input = boost::json::parse(
      R"({"StackName":"a b","Parameters":[{"ParameterKey":"K","UsePreviousValue":true}],"Capabilities":["C"],
          "Tags":[],"Nested":{"N":1},"None":null,"Attributes":{"entry":[{"key":"k","value":"v&w"}]}})");
  EXPECT_EQ(query_form(QueryDialect::query, "CreateStack", "2010-05-15", input.as_object()),
            "Action=CreateStack&Version=2010-05-15&StackName=a%20b&Parameters.member.1.ParameterKey=K&"
            "Parameters.member.1.UsePreviousValue=true&Capabilities.member.1=C&Tags=&Nested.N=1&"
            "Attributes.entry.1.key=k&Attributes.entry.1.value=v%26w");
}

TEST(Query, WritesEc2sListsWithoutMember) {
  const auto input =
      boost::json::parse(R"({"Filter":[{"Name":"vpc-id","Value":["v-1","v-2"]}],"SubnetId":[]})");
  EXPECT_EQ(query_form(QueryDialect::ec2, "DescribeSubnets", "2016-11-15", input.as_object()),
            "Action=DescribeSubnets&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=v-1&"
            "Filter.1.Value.2=v-2");
}

http::Response response(int status, std::string body, std::string_view name = "",
                        std::string_view value = "") {
  http::Response made{status, {}, std::move(body)};
  if (!name.empty()) made.headers.add(name, value);
  return made;
}

std::string fault_of(const http::Response& answer) {
  const Fault fault = read_fault("x", "Y", answer);
  return fault.code + "|" + fault.message + "|" + fault.request_id;
}

TEST(Answer, IsUnwrappedFromItsResult) {
  const auto read = [](Protocol protocol, std::string body) {
    const auto answer = read_answer(protocol, "Do", response(200, std::move(body)));
    return answer ? boost::json::serialize(*answer) : answer.error().message();
  };
  EXPECT_EQ(read(Protocol::query,
                 "<DoResponse><DoResult><A>1</A></DoResult><ResponseMetadata><RequestId>r"
                 "</RequestId></ResponseMetadata></DoResponse>"),
            R"({"A":"1"})");
  EXPECT_EQ(read(Protocol::query, "<DoResponse><DoResult/></DoResponse>"), "{}");
  EXPECT_EQ(read(Protocol::query,
                 "<DoResponse><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
                 "</DoResponse>"),
            "{}");
  EXPECT_EQ(read(Protocol::json, ""), "{}");
  EXPECT_EQ(read(Protocol::json, R"({"a":1})"), R"({"a":1})");
  EXPECT_EQ(read(Protocol::json, "<html>"), "The answer is not a JSON object: <html>");
}

TEST(Answer, FaultsAreReadInEveryShape) {
  EXPECT_EQ(fault_of(response(400,
                              "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>"
                              "<Message>no</Message></Error><RequestId>r1</RequestId></ErrorResponse>")),
            "ValidationError|no|r1");
  EXPECT_EQ(
      fault_of(response(403,
                        "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>m</Message>"
                        "</Error></Errors><RequestID>r2</RequestID></Response>")),
      "UnauthorizedOperation|m|r2");
  EXPECT_EQ(fault_of(response(404,
                              "<Error><Code>NoSuchKey</Code><Message>m</Message><Key>k</Key>"
                              "<RequestId>r3</RequestId></Error>")),
            "NoSuchKey|m|r3");
  EXPECT_EQ(fault_of(response(400, R"({"__type":"com.amazonaws.ecs#ClusterNotFoundException","message":"m"})",
                              "x-amzn-RequestId", "r4")),
            "ClusterNotFoundException|m|r4");
  EXPECT_EQ(fault_of(response(404, R"({"ErrorCode":"FileSystemNotFound","Message":"m"})")),
            "FileSystemNotFound|m|");
  EXPECT_EQ(
      fault_of(response(400, R"({"message":"m"})", "X-Amzn-ErrorType", "InvalidRequestException:http://x/")),
      "InvalidRequestException|m|");
}

TEST(Answer, FaultsOfSomebodyElseKeepTheirStatus) {
  EXPECT_EQ(fault_of(response(502, "<html><body>Bad gateway")), "Http502|<html><body>Bad gateway|");
  EXPECT_EQ(fault_of(response(404, "")), "NotFound|Not Found|");
  EXPECT_EQ(fault_of(response(403, "")), "AccessDenied|Forbidden|");
  EXPECT_EQ(fault_of(response(500, "{broken")), "Http500|{broken|");
}

TEST(Services, AreReachedWhereAwsSaysTheyAre) {
  const auto url = [](std::string_view name, const std::string& region,
                      const std::map<std::string, std::string>& environment = {}) {
    const ServiceEndpoint endpoint = find_endpoint(*find_service(name), region, environment);
    return endpoint.url + " " + endpoint.signing_region;
  };
  EXPECT_EQ(url("ecs", "eu-west-1"), "https://ecs.eu-west-1.amazonaws.com eu-west-1");
  EXPECT_EQ(url("ecr", "eu-west-1"), "https://api.ecr.eu-west-1.amazonaws.com eu-west-1");
  EXPECT_EQ(url("iam", "eu-west-1"), "https://iam.amazonaws.com us-east-1");
  EXPECT_EQ(url("logs", "cn-north-1"), "https://logs.cn-north-1.amazonaws.com.cn cn-north-1");
  EXPECT_EQ(url("iam", "cn-northwest-1"), "https://iam.cn-north-1.amazonaws.com.cn cn-north-1");
  EXPECT_EQ(url("iam", "us-gov-east-1"), "https://iam.us-gov.amazonaws.com us-gov-west-1");
  EXPECT_EQ(url("ecs", "us-east-1", {{"AWS_ENDPOINT_URL", "http://127.0.0.1:5000/"}}),
            "http://127.0.0.1:5000 us-east-1");
  EXPECT_EQ(url("monitoring", "us-east-1",
                {{"AWS_ENDPOINT_URL", "http://a"}, {"AWS_ENDPOINT_URL_CLOUDWATCH", "http://b"}}),
            "http://b us-east-1");
  EXPECT_EQ(url("s3", "us-east-1",
                {{"AWS_ENDPOINT_URL", "http://a"}, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"}}),
            "https://s3.us-east-1.amazonaws.com us-east-1");
  EXPECT_EQ(url("ecr", "us-east-1", {{"AWS_USE_FIPS_ENDPOINT", "true"}}),
            "https://api.ecr-fips.us-east-1.amazonaws.com us-east-1");
  EXPECT_EQ(url("ecr", "us-east-1", {{"AWS_USE_DUALSTACK_ENDPOINT", "true"}}),
            "https://ecr.us-east-1.api.aws us-east-1");
  EXPECT_EQ(url("ecs", "eusc-de-east-1"), "https://ecs.eusc-de-east-1.amazonaws.eu eusc-de-east-1");
  EXPECT_EQ(find_service("ec3"), nullptr);
}

}  // namespace
}  // namespace berth::aws
