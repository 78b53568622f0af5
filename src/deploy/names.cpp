#include "deploy/template.h"

namespace berth::deploy {

Names names(const model::Spec& spec) {
  return {spec.name + "-base", spec.name, spec.name, "/berth/" + spec.name};
}

}  // namespace berth::deploy
