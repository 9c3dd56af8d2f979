# The stack in a container: docker build -t asterias . && docker run --rm -it asterias
# The same set-up as on a machine without ROS 2; a GPU and CUDA: --build-arg TORCH_INDEX=<url>.
FROM python:3.11-bookworm

RUN apt-get update && apt-get install -y --no-install-recommends g++ git make \
    && rm -rf /var/lib/apt/lists/*
ARG TORCH_INDEX=""
WORKDIR /asterias
COPY . .
# Nodes need no rights of root.
RUN useradd --create-home robot && chown -R robot /asterias
USER robot
RUN make setup TORCH_INDEX="$TORCH_INDEX"
RUN echo "source /asterias/setup.bash" >> /home/robot/.bashrc
CMD ["bash"]
