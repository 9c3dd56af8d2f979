"""The paper's task: move the limb until one of its cameras sees the AprilTag."""
