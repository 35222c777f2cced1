//===- Checkpoint.h - Directories that a training run resumes from --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_RUN_CHECKPOINT_H
#define TRANSXSSM_TOOLS_RUN_CHECKPOINT_H

#include "Commands.h"

namespace transxssm::run {

// OUT/step-N/ holds config.json, model.safetensors, optimizer.safetensors and
// trainer.json; OUT/latest is a link to the newest. A directory is filled
// under another name, synced and renamed, and renamed again before it is
// removed, so that every step-N that can be seen is whole.

/// What trainer.json says beside the settings.
struct TrainerState {
  int64_t Step = 0;
  uint64_t DataFingerprint = 0;
  double Seconds = 0; ///< spent training so far
};

/// Writes OUT/step-N and points OUT/latest at it. Returns its path.
Result<std::string> writeCheckpoint(Model &Of, const TrainOptions &Options,
                                    const TrainerState &State);

/// The checkpoint that `Path` means: itself, or what its `latest` points at.
Result<std::string> findCheckpoint(const std::string &Path);

/// Takes from trainer.json every setting that the command line left open.
Result<TrainerState> readTrainer(const std::string &Checkpoint,
                                 TrainOptions &Options);

/// Numbers of the checkpoints in a directory, in ascending order.
std::vector<int64_t> listCheckpoints(const std::string &Out);

/// Removes all but the newest `Keep` of the checkpoints up to that step; 0
/// keeps all. Later ones are of a run that this one has gone back from.
void removeOldCheckpoints(const std::string &Out, int64_t Keep, int64_t Step);

} // namespace transxssm::run

#endif // TRANSXSSM_TOOLS_RUN_CHECKPOINT_H
