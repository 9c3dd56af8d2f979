// Runs the phases of value_iteration.cu thread by thread, in any order between two barriers.
//
// Input on stdin: batch, height, width, depth, seed (int32), then transition, reward, value (float32).
// Output on stdout: V (float32).

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

static std::vector<std::vector<float>> blocks;  // shared memory of a cluster
static int running;                             // the block whose thread is running

#include VALUE_ITERATION

void store_in_block(float* mine, int rank, float value) {
  blocks.at(rank).at(mine - blocks[running].data()) = value;
}

static std::vector<float> read(size_t count) {
  std::vector<float> data(count);
  if (std::fread(data.data(), sizeof(float), count, stdin) != count) std::abort();
  return data;
}

int main() {
  int32_t head[5];
  if (std::fread(head, sizeof(head), 1, stdin) != 1) return 1;
  const int batch = head[0], height = head[1], width = head[2], depth = head[3];
  const int area = height * width;
  std::mt19937 order(head[4]);
  const auto transition = read(size_t(batch) * ACTIONS * TAPS * area);
  const auto reward = read(size_t(batch) * area), value = read(size_t(batch) * area);
  std::vector<float> result(size_t(batch) * area);
  std::vector<int> threads(CLUSTER * THREADS);
  for (size_t i = 0; i < threads.size(); ++i) threads[i] = int(i);
  for (int maze = 0; maze < batch; ++maze) {
    const Place one = place_of(height, width, 0, 0, nullptr);
    if (one.per_block < one.halo || one.per_block > CELLS * THREADS) return 2;
    blocks.assign(CLUSTER, std::vector<float>(2 * plane_length(one), 1e30f));
    std::vector<Lane> lanes(threads.size());
    const auto phase = [&](auto work) {  // what lies between two barriers
      std::shuffle(threads.begin(), threads.end(), order);
      for (const int t : threads) {
        running = t / THREADS;
        work(place_of(height, width, running, t % THREADS, blocks[running].data()), lanes[t]);
      }
    };
    const size_t map = size_t(maze) * area;
    phase([&](const Place& p, Lane&) { clear(p); });
    phase([&](const Place& p, Lane& lane) {
      load(p, lane, &transition[map * ACTIONS * TAPS], &reward[map], &value[map]);
    });
    for (int n = 0; n < depth; ++n)
      phase([&](const Place& p, Lane& lane) { layer(p, lane, n); });
    phase([&](const Place& p, Lane& lane) { save(p, lane, &result[map]); });
  }
  return std::fwrite(result.data(), sizeof(float), result.size(), stdout) != result.size();
}
