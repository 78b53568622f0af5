#include "app/aws_signer.h"

#include "aws/credentials.h"
#include "aws/sigv4.h"

namespace berth::app {

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

Task<Result<Fields>> sign(std::shared_ptr<aws::CredentialsProvider> provider, std::string region,
                          Clock& clock, aws::SignableRequest request) {
  const auto credentials = co_await provider->get();
  if (!credentials) co_return Failure(credentials.error());
  aws::Signing signing;
  signing.region = region;
  signing.service = "xray";
  signing.time = clock.wall();
  co_return aws::sign(request, *credentials, signing);
}

}  // namespace

task::RequestSigner make_aws_signer(cli::Context& context, const std::string& region) {
  aws::CredentialsOptions options{context.environment, {}, region};
  std::shared_ptr<aws::CredentialsProvider> provider =
      aws::make_credentials(std::move(options), context.network, context.launcher);
  return [provider, region, &clock = context.clock](std::string host, std::string path, std::string body) {
    aws::SignableRequest request;
    request.host = std::move(host);
    request.path = std::move(path);
    request.headers.emplace_back("content-type", "application/json");
    request.body = std::move(body);
    return sign(provider, region, clock, std::move(request));
  };
}

}  // namespace berth::app
