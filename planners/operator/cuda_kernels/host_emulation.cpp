// Runs the kernels of value_iteration.cu on a CPU: each thread of a cluster is a fibre.
//
// Between two barriers the threads run one after the other, in an order that a seed draws anew each
// time: a barrier that is missing, or a plane that is read and written in one layer, changes the
// result with the seed. Shared memory begins as 1e30. A thread that ends while others wait at a
// barrier, or the other way round, is an error, as it is on a GPU.

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#define __global__ static
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define SHARED(name) float* name = shared[block_in_cluster].data()

struct Dimension {
  int x;
};
static Dimension threadIdx, blockIdx;
static std::vector<std::vector<float>> shared;  // memory of the blocks of a cluster
static int block_in_cluster;

#include VALUE_ITERATION

static constexpr int kFibres = CLUSTER * THREADS;
static constexpr size_t kStack = 64 * 1024;
static ucontext_t scheduler, fibres[kFibres];
static std::vector<char> stacks(kFibres* kStack);
static bool ended[kFibres];
static int running, cluster_number;
static void (*body)(const void*);
static const void* arguments;

void barrier() { swapcontext(&fibres[running], &scheduler); }

void store_in_block(float* mine, int rank, float value) {
  shared.at(rank).at(mine - shared[block_in_cluster].data()) = value;
}

static void run_fibre() {
  body(arguments);
  ended[running] = true;
}

// Run a kernel for all clusters; return 0, or 1 where threads disagree about a barrier.
static int launch(int clusters, int shared_floats, unsigned seed) {
  std::mt19937 draw(seed);
  std::vector<int> order(kFibres);
  for (int i = 0; i < kFibres; ++i) order[i] = i;
  for (cluster_number = 0; cluster_number < clusters; ++cluster_number) {
    shared.assign(CLUSTER, std::vector<float>(shared_floats, 1e30f));
    for (int i = 0; i < kFibres; ++i) {
      ended[i] = false;
      getcontext(&fibres[i]);
      fibres[i].uc_stack.ss_sp = &stacks[i * kStack];
      fibres[i].uc_stack.ss_size = kStack;
      fibres[i].uc_link = &scheduler;
      makecontext(&fibres[i], run_fibre, 0);
    }
    for (int left = kFibres; left > 0;) {
      std::shuffle(order.begin(), order.end(), draw);
      for (const int i : order) {
        running = i;
        block_in_cluster = i / THREADS;
        threadIdx.x = i % THREADS;
        blockIdx.x = cluster_number * CLUSTER + block_in_cluster;
        swapcontext(&scheduler, &fibres[i]);
      }
      left = int(std::count(ended, ended + kFibres, false));
      if (left != 0 && left != kFibres) return 1;
    }
  }
  return 0;
}

// Arguments come as a driver takes them: where each one is, pointers first, sizes at the end.
template <class T>
static T* array_at(const void* const* places, int index) {
  return *static_cast<T* const*>(places[index]);
}

static Sizes sizes_at(const void* place) { return *static_cast<const Sizes*>(place); }

static void forward(const void* places) {
  const auto p = static_cast<const void* const*>(places);
  value_iteration_forward(array_at<float>(p, 0), array_at<float>(p, 1), array_at<float>(p, 2),
                          array_at<int>(p, 3), array_at<float>(p, 4), array_at<float>(p, 5),
                          array_at<unsigned char>(p, 6), sizes_at(p[7]));
}

static void backward(const void* places) {
  const auto p = static_cast<const void* const*>(places);
  value_iteration_backward(array_at<float>(p, 0), array_at<int>(p, 1), array_at<float>(p, 2),
                           array_at<float>(p, 3), array_at<unsigned char>(p, 4),
                           array_at<float>(p, 5), array_at<float>(p, 6), array_at<float>(p, 7),
                           sizes_at(p[8]));
}

extern "C" int launch_forward(const void* places, int clusters, int shared_floats, unsigned seed) {
  body = forward, arguments = places;
  return launch(clusters, shared_floats, seed);
}

extern "C" int launch_backward(const void* places, int clusters, int shared_floats, unsigned seed) {
  body = backward, arguments = places;
  return launch(clusters, shared_floats, seed);
}
