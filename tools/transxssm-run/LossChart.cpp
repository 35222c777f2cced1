//===- LossChart.cpp - A picture of a training run ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "LossChart.h"

#include "runtime/support/File.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace transxssm;
using namespace transxssm::run;

namespace {

constexpr double Width = 900, Height = 520;
constexpr double Left = 70, Right = 40, Top = 56, Bottom = 62;

constexpr const char *RawColour = "#b8cbe4";
constexpr const char *TrainColour = "#1f5fa8";
constexpr const char *ValidationColour = "#c2410c";
constexpr const char *ReferenceColours[] = {"#15803d", "#7c7c7c"};

std::string number(double Value, const char *Pattern = "%.2f") {
  char Buffer[32];
  std::snprintf(Buffer, sizeof(Buffer), Pattern, Value);
  return Buffer;
}

std::string escape(const std::string &Text) {
  std::string Out;
  for (char C : Text)
    if (C == '<')
      Out += "&lt;";
    else if (C == '>')
      Out += "&gt;";
    else if (C == '&')
      Out += "&amp;";
    else
      Out += C;
  return Out;
}

/// A step of 1, 2 or 5 times a power of ten that gives about `Wanted` ticks.
double tickStep(double Range, int Wanted) {
  double Rough = Range / Wanted;
  double Power = std::pow(10.0, std::floor(std::log10(Rough)));
  for (double Factor : {1.0, 2.0, 5.0})
    if (Rough <= Factor * Power)
      return Factor * Power;
  return 10 * Power;
}

class Canvas {
public:
  Canvas(double LastStep, double Low, double High)
      : LastStep(LastStep), Low(Low), High(High) {
    Text = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " +
           number(Width, "%.0f") + " " + number(Height, "%.0f") +
           "\" font-family=\"Helvetica, Arial, sans-serif\" "
           "font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" "
           "fill=\"white\"/>\n";
  }

  double x(double Step) const {
    return Left + (Width - Left - Right) * Step / LastStep;
  }
  double y(double Loss) const {
    return Top + (Height - Top - Bottom) * (High - Loss) / (High - Low);
  }

  void line(double X1, double Y1, double X2, double Y2, const char *Colour,
            const char *More = "") {
    Text += "<line x1=\"" + number(X1) + "\" y1=\"" + number(Y1) + "\" x2=\"" +
            number(X2) + "\" y2=\"" + number(Y2) + "\" stroke=\"" + Colour +
            "\" " + More + "/>\n";
  }
  void label(double X, double Y, const std::string &What, const char *Anchor,
             const char *More = "") {
    Text += "<text x=\"" + number(X) + "\" y=\"" + number(Y) +
            "\" text-anchor=\"" + Anchor + "\" " + More + ">" + escape(What) +
            "</text>\n";
  }
  void curve(const std::vector<LossPoint> &Points, const char *Colour,
             const char *Thickness) {
    if (Points.empty())
      return;
    Text += "<polyline fill=\"none\" stroke-linejoin=\"round\" stroke=\"" +
            std::string(Colour) + "\" stroke-width=\"" + Thickness +
            "\" points=\"";
    for (const LossPoint &P : Points)
      Text += number(x(double(P.Step))) + "," + number(y(P.Loss)) + " ";
    Text += "\"/>\n";
  }
  void dots(const std::vector<LossPoint> &Points, const char *Colour) {
    for (const LossPoint &P : Points)
      Text += "<circle cx=\"" + number(x(double(P.Step))) + "\" cy=\"" +
              number(y(P.Loss)) + "\" r=\"3.5\" fill=\"" + Colour + "\"/>\n";
  }
  void axes(const std::string &Title);
  std::string finish() { return Text + "</svg>\n"; }

private:
  double LastStep, Low, High;
  std::string Text;
};

void Canvas::axes(const std::string &Title) {
  label(Width / 2, 24, Title, "middle", "font-size=\"17\"");
  double Step = tickStep(High - Low, 6);
  for (double Tick = std::ceil(Low / Step) * Step; Tick <= High; Tick += Step) {
    line(Left, y(Tick), Width - Right, y(Tick), "#e5e5e5");
    label(Left - 8, y(Tick) + 4, number(Tick, Step < 0.1 ? "%.2f" : "%.1f"),
          "end");
  }
  Step = std::max(1.0, tickStep(LastStep, 8));
  for (double Tick = 0; Tick <= LastStep; Tick += Step) {
    line(x(Tick), Height - Bottom, x(Tick), Height - Bottom + 5, "#333");
    label(x(Tick), Height - Bottom + 20, number(Tick, "%.0f"), "middle");
  }
  line(Left, Height - Bottom, Width - Right, Height - Bottom, "#333");
  line(Left, Top, Left, Height - Bottom, "#333");
  label((Left + Width - Right) / 2, Height - 16, "step", "middle");
  std::string Turn = "transform=\"rotate(-90 20 " + number(Height / 2) + ")\"";
  label(20, Height / 2, "loss (nats per token)", "middle", Turn.c_str());
}

/// Mean over a window of about one fiftieth of the run around each point: an
/// average of the past alone would lag behind a falling curve.
std::vector<LossPoint> smooth(const std::vector<LossPoint> &Points) {
  size_t Count = Points.size(), Reach = Count / 100;
  std::vector<double> Sums(Count + 1);
  for (size_t I = 0; I < Count; ++I)
    Sums[I + 1] = Sums[I] + Points[I].Loss;
  std::vector<LossPoint> Out;
  for (size_t I = 0; I < Count; ++I) {
    // The same reach on both sides keeps the ends in place.
    size_t Here = std::min({Reach, I, Count - 1 - I});
    double Sum = Sums[I + Here + 1] - Sums[I - Here];
    Out.push_back({Points[I].Step, Sum / double(2 * Here + 1)});
  }
  return Out;
}

/// At most `Most` points; a curve of a million would only make a large file.
std::vector<LossPoint> thin(const std::vector<LossPoint> &Points, size_t Most) {
  size_t Stride = (Points.size() + Most - 1) / Most;
  if (Stride <= 1)
    return Points;
  std::vector<LossPoint> Out;
  for (size_t I = 0; I < Points.size(); I += Stride)
    Out.push_back(Points[I]);
  if ((Points.size() - 1) % Stride != 0)
    Out.push_back(Points.back());
  return Out;
}

void drawLegend(Canvas &Sheet, const LossChart &Chart) {
  double X = Left;
  auto Entry = [&](const std::string &Label, const char *Colour) {
    Sheet.line(X, 42, X + 22, 42, Colour, "stroke-width=\"3\"");
    Sheet.label(X + 28, 46, Label, "start");
    X += 54 + 6.6 * double(Label.size());
  };
  auto Last = [](const std::vector<LossPoint> &Points) {
    return " " + number(Points.back().Loss, "%.3f");
  };
  if (!Chart.Training.empty())
    Entry("training" + Last(Chart.Training), TrainColour);
  if (!Chart.Validation.empty())
    Entry("validation" + Last(Chart.Validation), ValidationColour);
  for (size_t I = 0; I < Chart.References.size(); ++I)
    Entry(Chart.References[I].Label + " " +
              number(Chart.References[I].Loss, "%.3f"),
          ReferenceColours[I % 2]);
}

} // namespace

std::string LossChart::svg() const {
  double Low = 1e30, High = -1e30, LastStep = 1;
  auto Include = [&](double Loss) {
    if (!std::isfinite(Loss))
      return;
    Low = std::min(Low, Loss);
    High = std::max(High, Loss);
  };
  std::vector<LossPoint> Finite;
  for (const std::vector<LossPoint> *Points : {&Training, &Validation})
    for (const LossPoint &P : *Points) {
      Include(P.Loss);
      LastStep = std::max(LastStep, double(P.Step));
    }
  for (const LossPoint &P : Training)
    if (std::isfinite(P.Loss))
      Finite.push_back(P);
  for (const ReferenceLine &R : References)
    Include(R.Loss);
  if (Low > High)
    Low = 0, High = 1;
  // The last one keeps ticks apart where huge losses hardly differ.
  double Margin = std::max({0.05 * (High - Low), 0.01, 1e-6 * High});
  Canvas Sheet(LastStep, std::max(0.0, Low - Margin), High + Margin);
  Sheet.axes(Title);
  for (size_t I = 0; I < References.size(); ++I)
    Sheet.line(Left, Sheet.y(References[I].Loss), Width - Right,
               Sheet.y(References[I].Loss), ReferenceColours[I % 2],
               "stroke-width=\"1.5\" stroke-dasharray=\"7 5\"");
  Sheet.curve(thin(Finite, 4000), RawColour, "1");
  Sheet.curve(thin(smooth(Finite), 1000), TrainColour, "2");
  Sheet.curve(Validation, ValidationColour, "1.5");
  Sheet.dots(Validation, ValidationColour);
  drawLegend(Sheet, *this);
  return Sheet.finish();
}

Status LossChart::write(const std::string &Path) const {
  std::string Text = svg();
  return writeFileAtomically(Path, {{Text.data(), Text.size()}});
}
