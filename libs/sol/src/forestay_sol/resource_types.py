"""What OpenStack's resources are called: ``vimLevelResourceType`` of a ResourceHandle, which has Heat's resource types."""

from __future__ import annotations

GROUP = "OS::Heat::AutoScalingGroup"
IMAGE = "OS::Glance::Image"
NET = "OS::Neutron::Net"
PORT = "OS::Neutron::Port"
SECURITY_GROUP = "OS::Neutron::SecurityGroup"
SERVER = "OS::Nova::Server"
STACK = "OS::Heat::Stack"
SUBNET = "OS::Neutron::Subnet"
TRUNK = "OS::Neutron::Trunk"
VOLUME = "OS::Cinder::Volume"
VOLUME_SNAPSHOT = "OS::Cinder::Snapshot"
