#pragma once

#include <map>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/secret.h"
#include "model/spec.h"

/// The service's own secret: what ${NAME} in berth.yaml stands for, as a JSON object NAME → value.
namespace berth::deploy {

using SecretValues = std::map<std::string, Secret>;

/// Names whose values the service's own secret holds: the spec's variables without those of aws.secrets.
std::vector<std::string> own_variables(const model::Spec& spec);

/// What the secret is to hold. A variable that the environment lacks keeps the value that is there;
/// invalid_argument names all that have none at all. Names that the spec no longer has are left out.
Result<SecretValues> merge_values(const std::vector<std::string>& names,
                                  const std::map<std::string, std::string>& environment,
                                  const SecretValues& present);

struct SecretsOutcome {
  std::size_t names = 0;
  bool changed = false;
  double changed_at = 0;  ///< seconds since the epoch: when the present version was made
};
/// Puts the values where they differ. Values are in no message.
Task<Result<SecretsOutcome>> put_secrets(aws::Client& client, std::string arn, std::vector<std::string> names,
                                         std::map<std::string, std::string> environment);

/// not_found names every secret of aws.secrets that is not there.
Task<Result<void>> check_named_secrets(aws::Client& client, std::map<std::string, std::string> secrets);

/// The text of a secret ("ApiKeyArn" …).
Task<aws::Reply<Secret>> read_secret(aws::Client& client, std::string arn);

/// One of aws.secrets: a name or ARN, with ":key" for a member of its JSON.
Task<aws::Reply<Secret>> read_named_secret(aws::Client& client, std::string name);
/// What the service's own secret holds.
Task<aws::Reply<SecretValues>> read_values(aws::Client& client, std::string arn);

}  // namespace berth::deploy
