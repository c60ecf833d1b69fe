// The topology as SVG, from left to right: host interfaces, VLAN links, networks, and what is plugged into
// them.
#include <algorithm>
#include <map>
#include <utility>

#include "agent/cli/table.h"
#include "agent/cli/topology/graph.h"

namespace lanwright::cli {
namespace {

// In units of SVG. A character of a monospaced font is 0.6 of its size wide.
constexpr int kFont = 12;
constexpr int kLine = 16;
constexpr int kPadding = 8;
constexpr int kRowGap = 14;
constexpr int kBlockGap = 14;  // more, between what belongs to different networks
constexpr int kColumnGap = 90;
constexpr int kMargin = 20;

int text_width(std::string_view text) {
  return static_cast<int>(display_width(text)) * kFont * 6 / 10 + 1;
}

struct Box {
  const Node* node = nullptr;
  std::vector<std::string> lines;
  int column = 0;
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  int middle() const { return y + height / 2; }
};

class Layout {
 public:
  explicit Layout(const Graph& graph) : graph_(graph) {
    for (const Node& node : graph_.nodes) boxes_.emplace(node.id, box_of(node));
    find_columns();
    place_columns();
    place_networks();
    for (int column = network_column_ - 1; column >= 0; --column) place_beside(column);
  }

  const std::map<std::string, Box>& boxes() const { return boxes_; }
  int width() const { return width_; }
  int height() const { return height_ + kMargin; }

 private:
  static Box box_of(const Node& node) {
    Box box;
    box.node = &node;
    box.lines = lines_of(node);
    for (const std::string& line : box.lines) box.width = std::max(box.width, text_width(line));
    box.width += 2 * kPadding;
    box.height = static_cast<int>(box.lines.size()) * kLine + 2 * kPadding;
    return box;
  }

  static bool is_below_networks(const Box& box) {
    return box.node->kind == NodeKind::link || box.node->kind == NodeKind::vlan;
  }

  // A VLAN link stands to the right of what it is made on. A circle of them ends after as many turns as there
  // are nodes.
  void find_columns() {
    bool moved = true;
    for (std::size_t turn = 0; moved && turn < graph_.nodes.size(); ++turn) {
      moved = false;
      for (const Edge& edge : graph_.edges) {
        const Box& from = boxes_.at(edge.from);
        Box& to = boxes_.at(edge.to);
        if (!is_below_networks(to) || to.column > from.column) continue;
        to.column = from.column + 1;
        moved = true;
      }
    }
    for (const auto& [id, box] : boxes_) {
      if (is_below_networks(box)) network_column_ = std::max(network_column_, box.column + 1);
    }
    for (auto& [id, box] : boxes_) {
      if (box.node->kind == NodeKind::network) box.column = network_column_;
      if (!is_below_networks(box) && box.node->kind != NodeKind::network) box.column = network_column_ + 1;
    }
  }

  void place_columns() {
    std::map<int, int> widths;
    for (const auto& [id, box] : boxes_) widths[box.column] = std::max(widths[box.column], box.width);
    width_ = kMargin;
    for (const auto& [column, width] : widths) {
      for (auto& [id, box] : boxes_) {
        if (box.column == column) box.x = width_;
      }
      width_ += width + kColumnGap;
    }
    width_ += kMargin - (widths.empty() ? 0 : kColumnGap);
  }

  // The members of each network below each other, and it in the middle of them.
  void place_networks() {
    int y = kMargin;
    for (const Node& node : graph_.nodes) {
      if (node.kind != NodeKind::network) continue;
      Box& network = boxes_.at(node.id);
      const int top = y;
      for (const Edge& edge : graph_.edges) {
        if (edge.from != node.id) continue;
        Box& member = boxes_.at(edge.to);
        member.y = y;
        y += member.height + kRowGap;
      }
      const int bottom = std::max(y - kRowGap, top + network.height);
      network.y = (top + bottom - network.height) / 2;
      height_ = std::max(height_, bottom);
      y = bottom + kRowGap + kBlockGap;
    }
  }

  // As near to what stands on it as there is room, from top to bottom.
  void place_beside(int column) {
    std::vector<std::pair<int, Box*>> wishes;
    for (auto& [id, box] : boxes_) {
      if (box.column == column) wishes.emplace_back(wish_of(id) - box.height / 2, &box);
    }
    std::ranges::stable_sort(wishes, {}, [](const auto& wish) { return wish.first; });
    int free = kMargin;
    for (auto& [y, box] : wishes) {
      box->y = std::max(y, free);
      free = box->y + box->height + kRowGap;
      height_ = std::max(height_, box->y + box->height);
    }
  }

  int wish_of(const std::string& id) const {
    int sum = 0;
    int count = 0;
    for (const Edge& edge : graph_.edges) {
      if (edge.from != id) continue;
      sum += boxes_.at(edge.to).middle();
      ++count;
    }
    return count == 0 ? height_ + kRowGap : sum / count;  // what nothing stands on comes last
  }

  const Graph& graph_;
  std::map<std::string, Box> boxes_;
  int network_column_ = 0;
  int width_ = 0;
  int height_ = kMargin;
};

// Fit for text and for attributes. What XML 1.0 cannot hold at all becomes `?`: control characters, bytes
// that are no UTF-8 (one_line) and the two last code points of the first plane.
std::string xml(std::string_view text) {
  std::string out;
  const std::string safe = one_line(text);
  for (std::size_t i = 0; i < safe.size(); ++i) {
    const std::string_view rest = std::string_view(safe).substr(i);
    if (rest.starts_with("\xef\xbf\xbe") || rest.starts_with("\xef\xbf\xbf")) {
      out += '?';
      i += 2;
    } else if (rest.front() == '&') {
      out += "&amp;";
    } else if (rest.front() == '<') {
      out += "&lt;";
    } else if (rest.front() == '>') {
      out += "&gt;";
    } else if (rest.front() == '"') {
      out += "&quot;";
    } else {
      out += rest.front();
    }
  }
  return out;
}

std::string attribute(const char* name, int value) {
  return ' ' + std::string(name) + "=\"" + std::to_string(value) + '"';
}

std::string text_element(int x, int y, const char* more, const std::string& text) {
  return "  <text" + attribute("x", x) + attribute("y", y) + more + '>' + xml(text) + "</text>\n";
}

// A curve that leaves and arrives level.
std::string edge_element(const Box& from, const Box& to, const std::string& label) {
  const auto point = [](int x, int y) { return std::to_string(x) + ',' + std::to_string(y); };
  const int begin = from.x + from.width;
  const int bend = (begin + to.x) / 2;
  std::string out = "  <path d=\"M" + point(begin, from.middle()) + " C" + point(bend, from.middle()) + ' ' +
                    point(bend, to.middle()) + ' ' + point(to.x, to.middle()) +
                    "\" fill=\"none\" stroke=\"#8c959f\" stroke-width=\"1.5\"/>\n";
  if (!label.empty())
    out += text_element(bend, (from.middle() + to.middle()) / 2 - 4,
                        " font-size=\"10\" text-anchor=\"middle\" fill=\"#57606a\"", label);
  return out;
}

const char* fill_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::network:
      return "#ddf4ff";
    case NodeKind::link:
    case NodeKind::vlan:
      return "#f6f8fa";
    case NodeKind::attachment:
    case NodeKind::host_interface:
      break;
  }
  return "#ffffff";
}

std::string box_element(const Box& box) {
  const Node& node = *box.node;
  const std::string paint = paint_of(node.phase);
  std::string out = " <g>\n  <title>" + xml(std::string(name_of(node.kind)) + ' ' + node.name) +
                    "</title>\n  <rect" + attribute("x", box.x) + attribute("y", box.y) +
                    attribute("width", box.width) + attribute("height", box.height) +
                    attribute("rx", node.kind == NodeKind::network ? 10 : 3) + " fill=\"" +
                    fill_of(node.kind) + "\" stroke=\"" + paint + "\" stroke-width=\"1.5\"/>\n";
  int y = box.y + kPadding + kFont;
  for (std::size_t i = 0; i < box.lines.size(); ++i, y += kLine) {
    const bool is_phase = i + 1 == box.lines.size() && !node.phase.empty();
    const std::string more = is_phase ? " fill=\"" + paint + '"' : i == 0 ? " font-weight=\"bold\"" : "";
    out += text_element(box.x + kPadding, y, more.c_str(), box.lines[i]);
  }
  return out + " </g>\n";
}

}  // namespace

std::string topology_svg(const Topology& topology) {
  const Graph graph = graph_of(topology);
  const Layout layout(graph);
  const std::string width = std::to_string(layout.width());
  const std::string height = std::to_string(layout.height());
  std::string out =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"" +
      width + "\" height=\"" + height + "\" viewBox=\"0 0 " + width + ' ' + height +
      "\" font-family=\"monospace\"" + attribute("font-size", kFont) +
      " fill=\"#1f2328\">\n <title>Networks of this host</title>\n"
      " <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n <g>\n";
  for (const Edge& edge : graph.edges)
    out += edge_element(layout.boxes().at(edge.from), layout.boxes().at(edge.to), edge.label);
  out += " </g>\n";
  for (const Node& node : graph.nodes) out += box_element(layout.boxes().at(node.id));
  return out + "</svg>\n";
}

}  // namespace lanwright::cli
