// Value iteration on a GPU: a cluster of thread blocks for each maze, all layers in one launch.
//
// A thread keeps the kernels of its cells in registers. R + V lies in shared memory, twice: layer n
// reads one plane and writes the other, so that one barrier separates the layers. A block holds
// `per_block` cells of the maze, row by row, and beside them a halo of what it reads of the blocks
// before and behind, which those write into its shared memory themselves. Taps that leave the map
// get a kernel of zero, whatever lies there. With CLUSTER = 1 a block is all there is (sm_80).
//
// Constants: ACTIONS, FIELD, CELLS (per thread), THREADS, CLUSTER. At 100 x 100: CLUSTER 8, THREADS
// 640, CELLS 2, which is 72 of the 102 registers of a thread for kernels. With HOST_EMULATION the
// phases are plain C++ and are run thread by thread (tests/planners/host_emulation.cpp).

#define TAPS (FIELD * FIELD)

#ifdef HOST_EMULATION
#define DEVICE static inline
void store_in_block(float* mine, int rank, float value);
#else
#define DEVICE __device__ __forceinline__

// Store at the place of another block's shared memory that `mine` is in this block's.
DEVICE void store_in_block(float* mine, int rank, float value) {
#if CLUSTER > 1
  unsigned here = static_cast<unsigned>(__cvta_generic_to_shared(mine)), there;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(here), "r"(rank));
  asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(there), "f"(value) : "memory");
#endif
}

// Let all threads of the cluster arrive, and see what the others have written.
DEVICE void barrier() {
#if CLUSTER > 1
  asm volatile(
      "barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::
          : "memory");
#else
  __syncthreads();
#endif
}
#endif

// Where a thread is, and the sizes of its maze.
struct Place {
  int height, width, area;
  int per_block, halo;  // cells
  int rank, thread;     // of the block in its cluster, of the thread in its block
  float* planes;        // two of halo + per_block + halo
};

// What a thread keeps in registers.
struct Lane {
  float kernel[CELLS][ACTIONS][TAPS];
  float reward[CELLS];
  float value[CELLS];
};

DEVICE int plane_length(const Place& p) { return p.per_block + 2 * p.halo; }

DEVICE Place place_of(int height, int width, int rank, int thread, float* planes) {
  const int area = height * width, per_block = (area + CLUSTER - 1) / CLUSTER;
  const int halo = (FIELD / 2) * (width + 1);
  return {height, width, area, per_block, halo, rank, thread, planes};
}

// Cell of a thread by its number within the block, and whether there is one.
DEVICE bool has_cell(const Place& p, int local) {
  return local < p.per_block && p.rank * p.per_block + local < p.area;
}

// Write R + V of a cell into its own block, and into the halo of each block that reads it.
DEVICE void publish(const Place& p, int side, int local, float summed) {
  float* plane = p.planes + side * plane_length(p);
  plane[p.halo + local] = summed;
  if (p.rank > 0 && local < p.halo)
    store_in_block(plane + p.halo + p.per_block + local, p.rank - 1, summed);
  if (p.rank + 1 < CLUSTER && local >= p.per_block - p.halo)
    store_in_block(plane + p.halo + local - p.per_block, p.rank + 1, summed);
}

DEVICE void clear(const Place& p) {
  for (int i = p.thread; i < 2 * plane_length(p); i += THREADS) p.planes[i] = 0.0f;
}

DEVICE void load(const Place& p, Lane& lane, const float* transition, const float* reward,
                 const float* value) {
#pragma unroll
  for (int i = 0; i < CELLS; ++i) {
    const int local = p.thread + i * THREADS, cell = p.rank * p.per_block + local;
    const bool here = has_cell(p, local);
    const int row = cell / p.width, column = cell % p.width;
#pragma unroll
    for (int a = 0; a < ACTIONS; ++a) {
#pragma unroll
      for (int tap = 0; tap < TAPS; ++tap) {
        const int r = row + tap / FIELD - FIELD / 2, c = column + tap % FIELD - FIELD / 2;
        const bool there = here && r >= 0 && r < p.height && c >= 0 && c < p.width;
        lane.kernel[i][a][tap] = there ? transition[(a * TAPS + tap) * p.area + cell] : 0.0f;
      }
    }
    lane.reward[i] = here ? reward[cell] : 0.0f;
    lane.value[i] = here ? value[cell] : 0.0f;
    if (here) publish(p, 0, local, lane.reward[i] + lane.value[i]);
  }
}

DEVICE void layer(const Place& p, Lane& lane, int n) {
  const float* plane = p.planes + (n & 1) * plane_length(p) + p.halo;
#pragma unroll
  for (int i = 0; i < CELLS; ++i) {
    const int local = p.thread + i * THREADS;
    if (!has_cell(p, local)) continue;
    float around[TAPS];
#pragma unroll
    for (int tap = 0; tap < TAPS; ++tap)
      around[tap] = plane[local + (tap / FIELD - FIELD / 2) * p.width + tap % FIELD - FIELD / 2];
    float best = -3.4e38f;
#pragma unroll
    for (int a = 0; a < ACTIONS; ++a) {
      float q = 0.0f;
#pragma unroll
      for (int tap = 0; tap < TAPS; ++tap) q += lane.kernel[i][a][tap] * around[tap];
      best = q > best ? q : best;
    }
    lane.value[i] = best;
    publish(p, (n + 1) & 1, local, best + lane.reward[i]);
  }
}

DEVICE void save(const Place& p, const Lane& lane, float* result) {
#pragma unroll
  for (int i = 0; i < CELLS; ++i) {
    const int local = p.thread + i * THREADS;
    if (has_cell(p, local)) result[p.rank * p.per_block + local] = lane.value[i];
  }
}

#ifndef HOST_EMULATION
// V after `depth` layers; transition (B, ACTIONS, TAPS, H, W), the others (B, H, W). Blocks: CLUSTER
// for each maze; dynamic shared memory: 2 * (per_block + 2 * halo) floats.
extern "C" __global__ void
#if CLUSTER > 1
__cluster_dims__(CLUSTER, 1, 1)
#endif
__launch_bounds__(THREADS, 1) value_iteration(const float* transition, const float* reward,
                                              const float* value, float* result, int height,
                                              int width, int depth) {
  extern __shared__ float planes[];
  const int maze = blockIdx.x / CLUSTER;
  const Place p = place_of(height, width, blockIdx.x % CLUSTER, threadIdx.x, planes);
  const long long map = static_cast<long long>(maze) * p.area;
  Lane lane;
  clear(p);
  barrier();
  load(p, lane, transition + map * ACTIONS * TAPS, reward + map, value + map);
  barrier();
  for (int n = 0; n < depth; ++n) {
    layer(p, lane, n);
    barrier();  // after the last, too: shared memory stays until the neighbours have written
  }
  save(p, lane, result + map);
}
#endif
