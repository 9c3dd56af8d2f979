// Value iteration on a GPU: a cluster of thread blocks for each maze, all layers in one launch.
//
// Forward, a thread keeps the kernels of its cells in registers. R + V lies in shared memory, twice:
// layer n reads one plane and writes the other, so that one barrier of the cluster separates the
// layers. A block holds `per_block` cells of the maze, row by row, and beside them a halo of what it
// reads of the blocks before and behind, which those write into its shared memory themselves. Taps
// that leave the map get a kernel of zero, whatever lies there. With CLUSTER = 1 a block is all
// there is (sm_80).
//
// Backward, a cell's winner seldom changes from layer to layer: a thread keeps the kernel of the
// present winner and its gradient in registers, and goes to global memory where it changes. A cell
// publishes the adjoint of each product that its winner was made of, a plane for each tap, and
// gathers those of which it was a factor; no two threads write to one place.
//
// Constants: ACTIONS, FIELD (3 or 5), CELLS (per thread), THREADS, CLUSTER, TAPE (0 or 1: whether
// forward keeps what backward needs); geometry.py chooses them.
// With HOST_EMULATION the same source is C++ and runs in fibres (host_emulation.cpp).

#define TAPS (FIELD * FIELD)

#ifdef HOST_EMULATION
#define DEVICE static inline
void store_in_block(float* mine, int rank, float value);
void barrier();
#else
#define DEVICE __device__ __forceinline__
#define SHARED(name) extern __shared__ float name[]

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

#if CLUSTER > 1
#define OF_CLUSTER __cluster_dims__(CLUSTER, 1, 1)
#else
#define OF_CLUSTER
#endif

typedef long long Index;

// Sizes of the call, and how far maze, tap and cell lie apart in the transition kernels (0: shared).
struct Sizes {
  int depth, batch, height, width;
  Index maze_stride, tap_stride, cell_stride;
};

// Where a thread is in its maze.
struct Place {
  int height, width, area;
  int per_block, halo;  // cells
  int rank, thread;     // of the block in its cluster, of the thread in its block
  float* planes;        // of halo + per_block + halo floats
};

DEVICE int plane_length(const Place& p) { return p.per_block + 2 * p.halo; }

DEVICE Place place_of(const Sizes& s, float* planes) {
  const int area = s.height * s.width, per_block = (area + CLUSTER - 1) / CLUSTER;
  const int halo = (FIELD / 2) * (s.width + 1);
  return {s.height, s.width, area, per_block, halo, int(blockIdx.x % CLUSTER), int(threadIdx.x),
          planes};
}

// Cell of a thread by its number within the block, and whether there is one.
DEVICE bool has_cell(const Place& p, int local) {
  return local < p.per_block && p.rank * p.per_block + local < p.area;
}

DEVICE int offset_of(const Place& p, int tap) {
  return (tap / FIELD - FIELD / 2) * p.width + tap % FIELD - FIELD / 2;
}

// Whether the cell that a tap looks at (sign 1), or that looks at a cell through it (-1), exists.
DEVICE bool is_there(const Place& p, int cell, int tap, int sign) {
  const int r = cell / p.width + sign * (tap / FIELD - FIELD / 2);
  const int c = cell % p.width + sign * (tap % FIELD - FIELD / 2);
  return r >= 0 && r < p.height && c >= 0 && c < p.width;
}

// Write a number of a cell to its place in the block's plane, and into the halo of each block that
// reads it.
DEVICE void publish(const Place& p, float* mine, int local, float number) {
  *mine = number;
  if (p.rank > 0 && local < p.halo) store_in_block(mine + p.per_block, p.rank - 1, number);
  if (p.rank + 1 < CLUSTER && local >= p.per_block - p.halo)
    store_in_block(mine - p.per_block, p.rank + 1, number);
}

DEVICE void clear(const Place& p, int planes) {
  for (int i = p.thread; i < planes * plane_length(p); i += THREADS) p.planes[i] = 0.0f;
}

#ifndef HOST_EMULATION
extern "C" {
#endif

// V of the layers with a slot (the others have -1): saved (slots, B, H, W). With TAPE, for the way
// back, also R + V before each layer (depth, B, H, W) and each layer's winners. transition (B or 1,
// ACTIONS, TAPS, H or 1, W or 1), reward and value (B, H, W). Blocks: CLUSTER for each maze; dynamic
// shared memory: 2 planes.
__global__ void OF_CLUSTER __launch_bounds__(THREADS, 1)
    value_iteration_forward(const float* transition, const float* reward, const float* value,
                            const int* slots, float* saved, float* summed, unsigned char* winners,
                            Sizes s) {
  SHARED(planes);
  const Place p = place_of(s, planes);
  const Index maze = blockIdx.x / CLUSTER, per_layer = Index(s.batch) * p.area;
  // Where the thread's first cell is; the others follow THREADS apart.
  const Index first = maze * p.area + p.rank * p.per_block + p.thread;
  float kernel[CELLS][ACTIONS][TAPS], own[CELLS];
  clear(p, 2);
  barrier();
#pragma unroll
  for (int i = 0; i < CELLS; ++i) {
    const int local = p.thread + i * THREADS, cell = p.rank * p.per_block + local;
    const bool here = has_cell(p, local);
#pragma unroll
    for (int a = 0; a < ACTIONS; ++a) {
#pragma unroll
      for (int tap = 0; tap < TAPS; ++tap)
        kernel[i][a][tap] = here && is_there(p, cell, tap, 1)
                                ? transition[maze * s.maze_stride + (a * TAPS + tap) * s.tap_stride +
                                             cell * s.cell_stride]
                                : 0.0f;
    }
    own[i] = here ? reward[first + i * THREADS] : 0.0f;
    if (here) publish(p, p.planes + p.halo + local, local, own[i] + value[first + i * THREADS]);
  }
#if TAPE
  summed += first;  // of the layer that is computed
  winners += first;
#endif
  saved += first;
  const float* from = p.planes + p.halo + p.thread;
  float* to = p.planes + plane_length(p) + p.halo + p.thread;
  barrier();
  for (int n = 0; n < s.depth; ++n) {
    const int slot = slots[n];
#pragma unroll
    for (int i = 0; i < CELLS; ++i) {
      const int local = p.thread + i * THREADS;
      if (!has_cell(p, local)) continue;
      float around[TAPS];
#pragma unroll
      for (int tap = 0; tap < TAPS; ++tap) around[tap] = from[i * THREADS + offset_of(p, tap)];
      float best = 0.0f;
      int winner = 0;
#pragma unroll
      for (int a = 0; a < ACTIONS; ++a) {
        float q = 0.0f;
#pragma unroll
        for (int tap = 0; tap < TAPS; ++tap) q += kernel[i][a][tap] * around[tap];
        if (a == 0 || q > best) best = q, winner = a;
      }
      publish(p, to + i * THREADS, local, best + own[i]);
      if (slot >= 0) saved[slot * per_layer + i * THREADS] = best;
#if TAPE
      summed[i * THREADS] = around[TAPS / 2];
      winners[i * THREADS] = static_cast<unsigned char>(winner);
#endif
    }
    const float* written = to;
    to = const_cast<float*>(from);
    from = written;
#if TAPE
    summed += per_layer;
    winners += per_layer;
#endif
    barrier();  // after the last, too: shared memory stays until the neighbours have written
  }
}

// Gradients of what forward was given, from that of what it saved. grad_transition (B, ACTIONS, TAPS,
// H, W), of each maze and cell by itself, begins as zeros; grad_reward and grad_value (B, H, W).
// Dynamic shared memory: 2 * TAPS planes.
__global__ void OF_CLUSTER __launch_bounds__(THREADS, 1)
    value_iteration_backward(const float* transition, const int* slots, const float* grad_saved,
                             const float* summed, const unsigned char* winners,
                             float* grad_transition, float* grad_reward, float* grad_value,
                             Sizes s) {
  SHARED(planes);
  const Place p = place_of(s, planes);
  const Index maze = blockIdx.x / CLUSTER, map = maze * p.area, per_layer = Index(s.batch) * p.area;
  float* grad_kernels = grad_transition + maze * ACTIONS * TAPS * p.area;
  float kernel[CELLS][TAPS], grad[CELLS][TAPS], due[CELLS], total[CELLS];
  int held[CELLS];
#pragma unroll
  for (int i = 0; i < CELLS; ++i) {
    held[i] = -1;
    due[i] = total[i] = 0.0f;
#pragma unroll
    for (int tap = 0; tap < TAPS; ++tap) kernel[i][tap] = grad[i][tap] = 0.0f;
  }
  clear(p, 2 * TAPS);
  barrier();
  for (int n = s.depth - 1; n >= 0; --n) {
    const int slot = slots[n], side = (n & 1) * TAPS;
    const Index layer = n * per_layer + map;
#pragma unroll
    for (int i = 0; i < CELLS; ++i) {
      const int local = p.thread + i * THREADS, cell = p.rank * p.per_block + local;
      if (!has_cell(p, local)) continue;
      const float adjoint =
          due[i] + (slot >= 0 ? grad_saved[slot * per_layer + map + cell] : 0.0f);
      const int winner = winners[layer + cell];
      if (winner != held[i]) {
#pragma unroll
        for (int tap = 0; tap < TAPS; ++tap) {
          if (held[i] >= 0) {
            grad_kernels[Index(held[i] * TAPS + tap) * p.area + cell] += grad[i][tap];
            grad[i][tap] = 0.0f;
          }
          kernel[i][tap] = is_there(p, cell, tap, 1)
                               ? transition[maze * s.maze_stride + (winner * TAPS + tap) * s.tap_stride +
                                            cell * s.cell_stride]
                               : 0.0f;
        }
        held[i] = winner;
      }
#pragma unroll
      for (int tap = 0; tap < TAPS; ++tap) {
        if (is_there(p, cell, tap, 1))
          grad[i][tap] += adjoint * summed[layer + cell + offset_of(p, tap)];
        publish(p, p.planes + (side + tap) * plane_length(p) + p.halo + local, local,
                adjoint * kernel[i][tap]);
      }
    }
    barrier();
#pragma unroll
    for (int i = 0; i < CELLS; ++i) {
      const int local = p.thread + i * THREADS, cell = p.rank * p.per_block + local;
      if (!has_cell(p, local)) continue;
      float sum = 0.0f;
#pragma unroll
      for (int tap = 0; tap < TAPS; ++tap) {
        const float* plane = p.planes + (side + tap) * plane_length(p) + p.halo;
        if (is_there(p, cell, tap, -1)) sum += plane[local - offset_of(p, tap)];
      }
      due[i] = sum;
      total[i] += sum;
    }
  }
#pragma unroll
  for (int i = 0; i < CELLS; ++i) {
    const int local = p.thread + i * THREADS, cell = p.rank * p.per_block + local;
    if (!has_cell(p, local)) continue;
#pragma unroll
    for (int tap = 0; tap < TAPS; ++tap)
      grad_kernels[Index(held[i] * TAPS + tap) * p.area + cell] += grad[i][tap];
    grad_value[map + cell] = due[i];
    grad_reward[map + cell] = total[i];
  }
  barrier();  // shared memory stays until the neighbours have read and written
}

#ifndef HOST_EMULATION
}  // extern "C"
#endif
