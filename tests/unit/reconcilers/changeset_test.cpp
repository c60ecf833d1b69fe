// A change is made in place, and put back to the letter when it is not kept.
#include "reconcilers/desired/changeset.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <string>
#include <utility>

namespace lanwright::desired {
namespace {

Declaration declared(const ResourceId& id, ObjectSpec spec, const std::string& set = "default") {
  Declaration object;
  object.id = id;
  object.set = set;
  object.uid = "uid-" + id.text();
  object.generation = 1;
  object.spec = std::make_shared<const ObjectSpec>(std::move(spec));
  return object;
}

Declaration network(const std::string& name, const std::string& driver = "bridge",
                    const std::string& parent = "") {
  NetworkSpec spec;
  spec.driver = driver;
  spec.parent = parent;
  return declared({Kind::network, name}, spec);
}

Declaration network_with_subnet(const std::string& name) {
  Declaration object = network(name);
  NetworkSpec spec = std::get<NetworkSpec>(*object.spec);
  Subnet subnet;
  subnet.cidr = IpPrefix::parse("10.0.0.0/29").value();
  spec.subnets.push_back(subnet);
  object.spec = std::make_shared<const ObjectSpec>(std::move(spec));
  return object;
}

Declaration attachment(const std::string& name, const std::string& network, const std::string& netns = "") {
  AttachmentSpec spec;
  spec.network = network;
  if (netns.empty())
    spec.tap = TapEnd{};
  else
    spec.netns = netns, spec.interface = "eth-" + name.substr(0, 8);
  return declared({Kind::attachment, name}, spec);
}

std::string text_of(const DesiredObject& object) {
  std::ostringstream text;
  text << object.object.id.text() << " " << object.object.set << " " << object.object.uid << " "
       << object.object.generation << (object.object.deleting ? " deleting" : "")
       << (object.object.adopt ? " adopt" : "");
  for (const IpPrefix& address : object.object.allocations) text << " " << address.text();
  const drivers::Resources resources = object.compile();
  for (const LinkSpec& link : resources.links) text << " " << link.at.text() << "@" << link.master;
  return text.str();
}

// Everything that can be asked of it: objects, indexes, finalizers.
std::string text_of(const DesiredState& desired) {
  std::ostringstream text;
  for (const auto& [id, object] : desired.entries()) {
    text << text_of(*object) << "\n";
    text << "  uid: " << (desired.find_uid(object->object.uid) == object.get()) << "\n";
    const drivers::Resources resources = object->compile();
    for (const LinkSpec& link : resources.links) {
      const DesiredObject* owner = desired.owner_of(link.at);
      text << "  owner of " << link.at.text() << ": " << (owner != nullptr ? owner->object.id.text() : "-");
      for (const DesiredObject* user : desired.users_of(link.at))
        text << ", used by " << user->object.id.text();
      text << "\n";
    }
    for (const ResourceId& plugged : desired.attachments_of(id.name))
      text << "  plugged in: " << plugged.text() << "\n";
    for (const Finalizer& finalizer : desired.finalizers_of(object->object.uid))
      text << "  finalizer: " << finalizer.text() << "\n";
  }
  for (const std::string& path : desired.namespaces()) text << "namespace " << path << "\n";
  for (const auto& [name, vlan] : desired.implicit_vlans()) text << "implicit " << name << "\n";
  return text.str();
}

class ChangesetTest : public testing::Test {
 protected:
  ChangesetTest() {
    for (Declaration object :
         {network("lan"), network_with_subnet("pool"), network("on50", "macvlan", "eth0.50"),
          attachment("h1", "lan"), attachment("h2", "lan", "r1"), attachment("p1", "pool", "r1")})
      first.push_back(object.id),
          change_and_keep([&](Changeset& changes) { changes.upsert(std::move(object)); });
    desired.set_finalizers("uid-network lan", {Finalizer::port("eth9"), Finalizer::netns("/run/netns/left")});
  }
  std::function<ObjectUid()> new_uid() {
    return [this] { return "new-" + std::to_string(++uids); };
  }
  template <class Change>
  void change_and_keep(Change change) {
    Changeset changes(desired, new_uid());
    change(changes);
    const auto complete = changes.complete();
    ASSERT_TRUE(complete.ok()) << complete.error().text();
    changes.keep();
  }
  // Tries a change and throws it away.
  template <class Change>
  void expect_put_back(Change change) {
    const std::string before = text_of(desired);
    {
      Changeset changes(desired, new_uid());
      change(changes);
      (void)changes.complete();
    }
    EXPECT_EQ(text_of(desired), before);
  }

  DesiredState desired;
  std::vector<ResourceId> first;
  int uids = 0;
};

TEST_F(ChangesetTest, ANewObjectIsGoneAgain) {
  expect_put_back([](Changeset& changes) {
    changes.upsert(network("new"));
    changes.upsert(attachment("n1", "new"));
  });
}

TEST_F(ChangesetTest, AChangedNetworkComesBackWithItsAttachments) {
  expect_put_back([](Changeset& changes) { changes.upsert(network("lan", "vde")); });
}

TEST_F(ChangesetTest, WhatWasToBeDeletedIsDesiredAgain) {
  expect_put_back([this](Changeset& changes) {
    for (const ResourceId& id : first) changes.mark_deleting(id);
  });
}

TEST_F(ChangesetTest, AnObjectThatChangesTwiceComesBackAsItWasAtFirst) {
  expect_put_back([](Changeset& changes) {
    changes.upsert(attachment("h1", "pool", "r2"));
    changes.upsert(attachment("h1", "lan", "r3"));
    changes.mark_deleting({Kind::attachment, "h1"});
  });
}

TEST_F(ChangesetTest, ImplicitVlansAndAllocationsArePutBackToo) {
  expect_put_back([](Changeset& changes) {
    changes.upsert(network("on60", "macvlan", "eth0.60"));
    changes.upsert(attachment("p2", "pool", "r2"));
    changes.mark_deleting({Kind::network, "on50"});
  });
}

TEST_F(ChangesetTest, RandomChangesArePutBack) {
  std::mt19937 random(20260101);
  const auto pick = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
  const std::vector<std::string> names{"lan", "pool", "on50", "x"};
  const std::vector<std::string> hosts{"h1", "h2", "p1", "y"};
  for (int trial = 0; trial < 300; ++trial) {
    SCOPED_TRACE(trial);
    expect_put_back([&](Changeset& changes) {
      for (int step = 0; step <= pick(4); ++step) {
        const std::string& name = names.at(static_cast<std::size_t>(pick(3)));
        const std::string& host = hosts.at(static_cast<std::size_t>(pick(3)));
        switch (pick(4)) {
          case 0:
            changes.upsert(network(name, pick(1) == 0 ? "bridge" : "vde"));
            break;
          case 1:
            changes.upsert(network(name, "macvlan", pick(1) == 0 ? "eth0.50" : "eth0.60"));
            break;
          case 2:
            changes.upsert(attachment(host, name, pick(1) == 0 ? "" : "r" + std::to_string(pick(3))));
            break;
          case 3:
            if (desired.find({Kind::network, name}) != nullptr) changes.mark_deleting({Kind::network, name});
            break;
          default:
            if (desired.find({Kind::attachment, host}) != nullptr)
              changes.mark_deleting({Kind::attachment, host});
        }
      }
    });
    // Some are kept, so that each trial begins elsewhere.
    if (trial % 3 == 0) {
      const std::string extra = "k" + std::to_string(trial);
      change_and_keep([&](Changeset& changes) {
        changes.upsert(attachment(extra, "lan", "r" + std::to_string(pick(9))));
      });
    }
  }
}

TEST_F(ChangesetTest, ItsScopeIsWhatDependsOnIt) {
  Changeset changes(desired, new_uid());
  changes.upsert(network("lan", "vde"));
  ASSERT_TRUE(changes.complete().ok());
  changes.include_neighbours({});
  // `p1` shares a namespace, and with it the default route, with `h2`.
  EXPECT_EQ(changes.scope(), (std::set<ResourceId>{{Kind::network, "lan"},
                                                   {Kind::attachment, "h1"},
                                                   {Kind::attachment, "h2"},
                                                   {Kind::attachment, "p1"}}));
  EXPECT_TRUE(changes.alters({Kind::attachment, "h1"}));
  EXPECT_FALSE(changes.alters({Kind::attachment, "p1"}));
}

// `p1` is in r1; `w1` calls the same namespace by another path, and leaves it.
TEST_F(ChangesetTest, NeighboursAreThoseInTheSameNamespaceByAnyPath) {
  Observed observed;
  for (const char* path : {"/run/netns/r1", "/run/netns/other"}) observed.namespaces[path].present = true;
  observed.namespaces["/run/netns/r1"].inode = observed.namespaces["/run/netns/other"].inode = 7;
  change_and_keep([](Changeset& changes) { changes.upsert(attachment("w1", "lan", "other")); });
  Changeset changes(desired, new_uid());
  changes.upsert(attachment("w1", "lan", "r9"));
  ASSERT_TRUE(changes.complete().ok());
  EXPECT_FALSE(changes.scope().contains({Kind::attachment, "p1"}));
  changes.include_neighbours(observed);
  EXPECT_TRUE(changes.scope().contains({Kind::attachment, "p1"}));
  EXPECT_FALSE(changes.scope().contains({Kind::attachment, "h1"}));
}

TEST_F(ChangesetTest, ItKnowsWhichNamespacesAreLeft) {
  Changeset changes(desired, new_uid());
  changes.upsert(attachment("h2", "lan", "r7"));
  ASSERT_TRUE(changes.complete().ok());
  EXPECT_TRUE(changes.moves_namespaces());
  const auto left = changes.left_namespaces();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left.front().path, "/run/netns/r1");
  EXPECT_EQ(left.front().uid, "uid-attachment h2");
}

TEST_F(ChangesetTest, AnImplicitVlanComesAndGoesWithItsNetworks) {
  ASSERT_NE(desired.find({Kind::vlan, "eth0.50"}), nullptr);
  Changeset changes(desired, new_uid());
  changes.mark_deleting({Kind::network, "on50"});
  changes.upsert(network("on60", "ipvlan", "eth0.60"));
  ASSERT_TRUE(changes.complete().ok());
  EXPECT_TRUE(changes.deleted().contains({Kind::vlan, "eth0.50"}));
  EXPECT_TRUE(changes.upserted().contains({Kind::vlan, "eth0.60"}));
}

}  // namespace
}  // namespace lanwright::desired
