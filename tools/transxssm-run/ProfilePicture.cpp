//===- ProfilePicture.cpp - Where the time of a call goes -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "ProfilePicture.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <map>

using namespace transxssm;
using namespace transxssm::run;

double run::shareOfFma(const KernelProfile &Kernel, const Ceilings &Peaks) {
  double Most = Kernel.Seconds * Peaks.FlopsPerSecond;
  return Most > 0 ? double(Kernel.Flops) / Most : 0;
}

double run::shareOfRead(const KernelProfile &Kernel, const Ceilings &Peaks) {
  double Most = Kernel.Seconds * Peaks.BytesReadPerSecond;
  return Most > 0 ? double(Kernel.Bytes) / Most : 0;
}

namespace {

constexpr double Width = 1200, Margin = 10, RowHeight = 26;

std::string number(double Value, const char *Pattern = "%.1f") {
  char Buffer[48];
  std::snprintf(Buffer, sizeof(Buffer), Pattern, Value);
  return Buffer;
}

std::string escape(const std::string &Text) {
  std::string Out;
  for (char C : Text)
    Out += C == '<'   ? "&lt;"
           : C == '>' ? "&gt;"
           : C == '&' ? "&amp;"
                      : std::string(1, C);
  return Out;
}

/// From red over yellow to green as `Share` goes from 0 to 1.
std::string colour(double Share) {
  double Hue = 120 * std::clamp(Share, 0.0, 1.0);
  return "hsl(" + number(Hue, "%.0f") + ",65%,68%)";
}

/// A name without its shape: what comes before the first part with a digit.
std::string kindOf(const std::string &Name) {
  size_t End = 0;
  for (size_t Begin = 0; Begin <= Name.size();) {
    size_t Next = std::min(Name.find('_', Begin), Name.size());
    if (std::any_of(Name.begin() + long(Begin), Name.begin() + long(Next),
                    [](unsigned char C) { return std::isdigit(C); }))
      break;
    End = Next;
    Begin = Next + 1;
  }
  return End ? Name.substr(0, End) : Name;
}

/// A box as wide as its time, with as much of its name as fits; all of it and
/// `More` when pointed at.
void addBox(std::string &Out, double X, double Y, double Wide,
            const std::string &Fill, const std::string &Name,
            const std::string &More) {
  std::string Label = Name;
  size_t Fits = size_t(std::max(0.0, (Wide - 8) / 6.4));
  if (Label.size() > Fits)
    Label = Fits > 4 ? Label.substr(0, Fits - 1) + "…" : "";
  Out += "<g><title>" + escape(Name + ": " + More) + "</title><rect x=\"" +
         number(X, "%.2f") + "\" y=\"" + number(Y) + "\" width=\"" +
         number(Wide, "%.2f") + "\" height=\"" + number(RowHeight - 2) +
         "\" fill=\"" + Fill + "\" stroke=\"white\" stroke-width=\"0.5\"/>";
  if (!Label.empty())
    Out += "<text x=\"" + number(X + 4) + "\" y=\"" + number(Y + 16) + "\">" +
           escape(Label) + "</text>";
  Out += "</g>\n";
}

/// What is said of a kernel, or of all those of a kind.
std::string describe(const KernelProfile &Of, const EntryProfile &In,
                     const Ceilings &Peaks) {
  std::string Text = number(Of.Seconds / In.Calls * 1e3, "%.3f") + " ms, " +
                     number(100 * Of.Seconds / In.Seconds) + " %, " +
                     number(double(Of.Launches) / In.Calls, "%.0f") +
                     " launches";
  if (double Share = shareOfFma(Of, Peaks))
    Text += ", " + number(double(Of.Flops) / Of.Seconds * 1e-9) + " GFLOP/s, " +
            number(100 * Share, "%.0f") + " % of FMA peak";
  if (double Share = shareOfRead(Of, Peaks))
    Text += ", " + number(double(Of.Bytes) / Of.Seconds * 1e-9) + " GB/s, " +
            number(100 * Share, "%.0f") + " % of read bandwidth";
  return Text;
}

double closeness(const KernelProfile &Of, const Ceilings &Peaks) {
  return std::max(shareOfFma(Of, Peaks), shareOfRead(Of, Peaks));
}

/// Kernels by kind, the longest kind first.
std::vector<std::pair<KernelProfile, std::vector<KernelProfile>>>
byKind(const std::vector<KernelProfile> &Kernels) {
  std::vector<std::pair<KernelProfile, std::vector<KernelProfile>>> Kinds;
  std::map<std::string, size_t> Numbers;
  for (const KernelProfile &Kernel : Kernels) {
    auto [At, IsNew] = Numbers.try_emplace(kindOf(Kernel.Name), Kinds.size());
    if (IsNew)
      Kinds.push_back({{At->first}, {}});
    auto &[Sum, Of] = Kinds[At->second];
    Sum.Seconds += Kernel.Seconds;
    Sum.Launches += Kernel.Launches;
    Sum.Bytes += Kernel.Bytes;
    Sum.Flops += Kernel.Flops;
    Of.push_back(Kernel);
  }
  std::stable_sort(Kinds.begin(), Kinds.end(), [](auto &L, auto &R) {
    return L.first.Seconds > R.first.Seconds;
  });
  return Kinds;
}

} // namespace

std::string run::profilePicture(const std::vector<EntryProfile> &Profiles,
                                const Ceilings &Peaks) {
  double Height = 40 + double(Profiles.size()) * (3 * RowHeight + 14);
  std::string Out =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " +
      number(Width, "%.0f") + " " + number(Height, "%.0f") +
      "\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"11\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"10\" "
      "y=\"22\" font-size=\"14\">Time by kind of kernel and by kernel; green: "
      "at the FMA peak (" +
      number(Peaks.FlopsPerSecond * 1e-9) + " GFLOP/s) or read bandwidth (" +
      number(Peaks.BytesReadPerSecond * 1e-9) + " GB/s)</text>\n";
  double Y = 36;
  for (const EntryProfile &Profile : Profiles) {
    double Scale = (Width - 2 * Margin) / std::max(Profile.Seconds, 1e-12);
    addBox(Out, Margin, Y, Width - 2 * Margin, "#dfe6ee", Profile.Entry,
           number(Profile.Seconds / Profile.Calls * 1e3, "%.3f") +
               " ms a call");
    double X = Margin;
    for (const auto &[Kind, Kernels] : byKind(Profile.Kernels)) {
      addBox(Out, X, Y + RowHeight, Kind.Seconds * Scale,
             colour(closeness(Kind, Peaks)), Kind.Name,
             describe(Kind, Profile, Peaks));
      for (const KernelProfile &Kernel : Kernels) {
        addBox(Out, X, Y + 2 * RowHeight, Kernel.Seconds * Scale,
               colour(closeness(Kernel, Peaks)), Kernel.Name,
               describe(Kernel, Profile, Peaks));
        X += Kernel.Seconds * Scale;
      }
    }
    Y += 3 * RowHeight + 14;
  }
  return Out + "</svg>\n";
}
