/**
 * The passes over tiles of fast weights in gradients of the delta rule (`delta-rule.c` has the equations), for all scans that
 * write by it.
 */
#ifndef DELTA_PASSES_H
#define DELTA_PASSES_H

#include "fast-weights.h"

/** Most vectors in a row of a tile of the backward, whose passes need more registers: 16 of them suffice for three. */
#if defined(__AVX512F__)
#define DELTA_BACK_VECTORS 4
#else
#define DELTA_BACK_VECTORS 3
#endif

/** One pass over a tile of the backward. */
typedef struct {
  i32 rows;
  /** The tile of G or S. */
  f32 *tile;
  f32 factor;
  const f32 *key, *next_key, *query;
  /** P_{t+1} or P_t. */
  f32 *noted;
  fw_lanes write, dv, dy;
  /** Rows that sums across lanes are added to. */
  f32 *dk, *dq;
  /** G key, or the lanes of ⟨P_t, S_{t-1}⟩. */
  fw_lanes result;
} delta_pass;

/**
 * On the way back from G_{t+1} to G_t: P = G − dv_{t+1} k_{t+1}ᵀ (noted, with a decay), G = factor P + dy queryᵀ; gives
 * G key and adds Gᵀ write to dk.
 */
INLINE void delta_back(delta_pass *pass, const int vectors, const int gated) {
  const f32 *key = pass->key, *next = pass->next_key, *query = pass->query;
  const vf factor = vset(pass->factor);
  f32 *g = pass->tile, *noted = pass->noted, *dk = pass->dk;
  vf write[DELTA_BACK_VECTORS], dv[DELTA_BACK_VECTORS], dy[DELTA_BACK_VECTORS], sums[DELTA_BACK_VECTORS];
  UNROLL for (int i = 0; i < vectors; i++) {
    write[i] = pass->write.vector[i], dv[i] = -pass->dv.vector[i], dy[i] = pass->dy.vector[i], sums[i] = vset(0);
  }
  for (i32 rows = pass->rows; rows > 0; rows -= FW_ROWS) {
    vf products[FW_ROWS];
    UNROLL for (int r = 0; r < FW_ROWS; r++) {
      const vf n = fw_broadcast(next + r), q = fw_broadcast(query + r), k = fw_broadcast(key + r);
      UNROLL for (int i = 0; i < vectors; i++) {
        const int at = (r * vectors + i) * VF;
        vf x = vfma(dv[i], n, vload(g + at));
        if (gated) {
          vstore(noted + at, x);
          x *= factor;
        }
        x = vfma(dy[i], q, x);
        vstore(g + at, x);
        sums[i] = vfma(x, k, sums[i]);
        products[r] = i == 0 ? x * write[i] : vfma(x, write[i], products[r]);
      }
    }
    fw_add4(dk, fw_sum_lanes(products[0], products[1], products[2], products[3]));
    g += FW_ROWS * vectors * VF, noted += FW_ROWS * vectors * VF, dk += FW_ROWS;
    key += FW_ROWS, query += FW_ROWS, next += FW_ROWS;
  }
  UNROLL for (int i = 0; i < vectors; i++) pass->result.vector[i] = sums[i];
}

/**
 * On the way forth from S_{t-1} to S_t: subtracts factor · S_{t-1}ᵀ dv from dk, S = factor S + write keyᵀ, adds Sᵀ dy to
 * dq, and with a decay gives the lanes of ⟨P_t, S_{t-1}⟩.
 */
INLINE void delta_forth(delta_pass *pass, const int vectors, const int gated) {
  const f32 *key = pass->key, *noted = pass->noted;
  const vf factor = vset(pass->factor);
  f32 *s = pass->tile, *dk = pass->dk, *dq = pass->dq;
  vf write[DELTA_BACK_VECTORS], dv[DELTA_BACK_VECTORS], dy[DELTA_BACK_VECTORS], inner[DELTA_BACK_VECTORS];
  UNROLL for (int i = 0; i < vectors; i++) {
    write[i] = pass->write.vector[i], dv[i] = -pass->dv.vector[i], dy[i] = pass->dy.vector[i], inner[i] = vset(0);
  }
  for (i32 rows = pass->rows; rows > 0; rows -= FW_ROWS) {
    vf erased[FW_ROWS], read[FW_ROWS];
    UNROLL for (int r = 0; r < FW_ROWS; r++) {
      const vf k = fw_broadcast(key + r);
      UNROLL for (int i = 0; i < vectors; i++) {
        const int at = (r * vectors + i) * VF;
        vf x = vload(s + at);
        if (gated) {
          inner[i] = vfma(x, vload(noted + at), inner[i]);
          x *= factor;
        }
        erased[r] = i == 0 ? x * dv[i] : vfma(x, dv[i], erased[r]);
        x = vfma(write[i], k, x);
        vstore(s + at, x);
        read[r] = i == 0 ? x * dy[i] : vfma(x, dy[i], read[r]);
      }
    }
    fw_add4(dk, fw_sum_lanes(erased[0], erased[1], erased[2], erased[3]));
    fw_add4(dq, fw_sum_lanes(read[0], read[1], read[2], read[3]));
    s += FW_ROWS * vectors * VF, noted += FW_ROWS * vectors * VF, dk += FW_ROWS, dq += FW_ROWS, key += FW_ROWS;
  }
  UNROLL for (int i = 0; i < vectors; i++) pass->result.vector[i] = inner[i];
}

/* Functions of their own, as in the forward. */
typedef void (*delta_pass_function)(delta_pass *pass);
#define DELTA_PASS(name, vectors)                                                      \
  static void name##_##vectors(delta_pass *pass) { name(pass, vectors, 0); }           \
  static void name##_##vectors##_gated(delta_pass *pass) { name(pass, vectors, 1); }
DELTA_PASS(delta_back, 1)
DELTA_PASS(delta_back, 2)
DELTA_PASS(delta_back, 3)
DELTA_PASS(delta_forth, 1)
DELTA_PASS(delta_forth, 2)
DELTA_PASS(delta_forth, 3)
#if DELTA_BACK_VECTORS > 3
DELTA_PASS(delta_back, 4)
DELTA_PASS(delta_forth, 4)
#define DELTA_PASS_4(name) , name
#else
#define DELTA_PASS_4(name)
#endif
static const delta_pass_function delta_back_functions[2][DELTA_BACK_VECTORS] = {
    {delta_back_1, delta_back_2, delta_back_3 DELTA_PASS_4(delta_back_4)},
    {delta_back_1_gated, delta_back_2_gated, delta_back_3_gated DELTA_PASS_4(delta_back_4_gated)},
};
static const delta_pass_function delta_forth_functions[2][DELTA_BACK_VECTORS] = {
    {delta_forth_1, delta_forth_2, delta_forth_3 DELTA_PASS_4(delta_forth_4)},
    {delta_forth_1_gated, delta_forth_2_gated, delta_forth_3_gated DELTA_PASS_4(delta_forth_4_gated)},
};

#endif
