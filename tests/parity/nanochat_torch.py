"""The models and optimizers of 2025 and 2026 in plain PyTorch, float32, written from their formulas: a peer to compare with and to race.

    config = Config.of(2025, depth=4, vocab=8192, T=512)
    model = Model(config)
    optimizer = Optimizer(model)
    loss = model(inputs, targets).mean(); loss.backward(); optimizer.step(step, lr_scale, momentum); model.zero_grad()

Names of parameters are the reference's. Nothing here is imported by the program.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

EPS = 2.0**-23
NEWTON_SCHULZ = [(3.4445, -4.7750, 2.0315)] * 5
POLAR_EXPRESS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]


@dataclass
class Config:
    year: int
    L: int
    C: int
    H: int
    Hkv: int
    V: int
    T: int
    rope_base: float
    qk_scale: float
    windows: list  # a layer: keys to the left that a query sees; None: all

    @property
    def D(self):
        return self.C // self.H

    @property
    def padded(self):
        return self.V if self.year == 2025 else (self.V + 63) // 64 * 64

    def has_value_embeds(self, layer):
        return self.year == 2026 and layer % 2 == (self.L - 1) % 2

    @staticmethod
    def of(year, depth, vocab, T, windows="SSSL"):
        if year == 2025:
            C = 64 * depth
            H = max(1, -(-C // 128))
            return Config(2025, depth, C, H, H, vocab, T, 10000.0, 1.0, [None] * depth)
        C = -(-64 * depth // 128) * 128
        short = math.ceil(T / 4 / 128) * 128
        widths = [short if windows[i % len(windows)] == "S" else None for i in range(depth)]
        widths[-1] = None
        return Config(2026, depth, C, C // 128, C // 128, vocab, T, 100000.0, 1.2, widths)


def norm(x):
    return F.rms_norm(x, (x.shape[-1],), eps=EPS)


def rotate(x, cosine, sine):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cosine + b * sine, b * cosine - a * sine), -1)


class Attention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        C, D = config.C, config.D
        self.config, self.window = config, config.windows[layer]
        self.c_q = nn.Linear(C, config.H * D, bias=False)
        self.c_k = nn.Linear(C, config.Hkv * D, bias=False)
        self.c_v = nn.Linear(C, config.Hkv * D, bias=False)
        self.c_proj = nn.Linear(config.H * D, C, bias=False)
        self.ve_gate = nn.Linear(12, config.Hkv, bias=False) if config.has_value_embeds(layer) else None

    def forward(self, x, cosine, sine, mask, value_embeds):
        c = self.config
        B, T, _ = x.shape
        q, k, v = (w(x).view(B, T, -1, c.D) for w in (self.c_q, self.c_k, self.c_v))
        if self.ve_gate is not None:
            v = v + 3 * torch.sigmoid(self.ve_gate(x[..., :12])).unsqueeze(-1) * value_embeds.view(B, T, -1, c.D)
        q, k = c.qk_scale * norm(rotate(q, cosine, sine)), c.qk_scale * norm(rotate(k, cosine, sine))
        q, k, v = (y.transpose(1, 2) for y in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=c.H != c.Hkv)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, -1))


class Mlp(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_fc = nn.Linear(config.C, 4 * config.C, bias=False)
        self.c_proj = nn.Linear(4 * config.C, config.C, bias=False)

    def forward(self, x):
        return self.c_proj(F.relu(self.c_fc(x)).square())


class Block(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.attn = Attention(config, layer)
        self.mlp = Mlp(config)

    def forward(self, x, *args):
        x = x + self.attn(norm(x), *args)
        return x + self.mlp(norm(x))


class Model(nn.Module):
    def __init__(self, config, seed=1):
        super().__init__()
        torch.manual_seed(seed)
        self.config = c = config
        self.transformer = nn.ModuleDict(
            {"wte": nn.Embedding(c.padded, c.C), "h": nn.ModuleList(Block(c, i) for i in range(c.L))}
        )
        self.lm_head = nn.Linear(c.C, c.padded, bias=False)
        if c.year == 2026:
            share = torch.arange(c.L) / max(c.L - 1, 1)
            self.resid_lambdas = nn.Parameter(1.15 - 0.10 * share)
            self.x0_lambdas = nn.Parameter(0.20 - 0.15 * share)
            self.smear_gate = nn.Linear(24, 1, bias=False)
            self.smear_lambda = nn.Parameter(torch.zeros(1))
            self.backout_lambda = nn.Parameter(torch.full((1,), 0.2))
            self.value_embeds = nn.ModuleDict(
                {str(i): nn.Embedding(c.padded, c.Hkv * c.D) for i in range(c.L) if c.has_value_embeds(i)}
            )
        self.initialise()
        angles = torch.arange(c.T)[:, None] * c.rope_base ** (-torch.arange(0, c.D, 2) / c.D)[None]
        self.register_buffer("cosine", angles.cos()[None, :, None], persistent=False)
        self.register_buffer("sine", angles.sin()[None, :, None], persistent=False)
        self.masks = [self.mask(w) for w in c.windows]

    def mask(self, window):
        if window is None or window >= self.config.T:
            return None
        t = torch.arange(self.config.T)
        behind = t[:, None] - t[None]
        return (behind >= 0) & (behind <= window)

    @torch.no_grad()
    def initialise(self):
        c, bound = self.config, math.sqrt(3 / self.config.C)
        self.transformer.wte.weight.normal_(0, 1 if c.year == 2025 else 0.8)
        self.lm_head.weight.zero_() if c.year == 2025 else self.lm_head.weight.normal_(0, 0.001)
        for block in self.transformer.h:
            for w, gain in ((block.attn.c_q, 1), (block.attn.c_k, 1), (block.attn.c_v, 1), (block.mlp.c_fc, 0.4)):
                if c.year == 2025:
                    out, into = w.weight.shape
                    w.weight.normal_(0, min(1, math.sqrt(out / into)) / math.sqrt(into))
                else:
                    w.weight.uniform_(-gain * bound, gain * bound)
            block.attn.c_proj.weight.zero_()
            block.mlp.c_proj.weight.zero_()
            if block.attn.ve_gate is not None:
                block.attn.ve_gate.weight.uniform_(0, 0.02)
        if c.year == 2026:
            self.smear_gate.weight.uniform_(0, 0.02)
            for table in self.value_embeds.values():
                table.weight.uniform_(-bound, bound)

    def logits(self, ids, at=slice(None)):
        """Of the positions `at`."""
        c, T = self.config, ids.shape[1]
        cosine, sine = self.cosine[:, :T], self.sine[:, :T]
        x = norm(self.transformer.wte(ids))
        if c.year == 2026:
            gate = self.smear_lambda * torch.sigmoid(self.smear_gate(x[:, 1:, :24]))
            x = torch.cat((x[:, :1], x[:, 1:] + gate * x[:, :-1]), 1)
        x0 = x
        for i, block in enumerate(self.transformer.h):
            embeds = None
            if c.year == 2026:
                x = self.resid_lambdas[i] * x + self.x0_lambdas[i] * x0
                embeds = self.value_embeds[str(i)](ids) if c.has_value_embeds(i) else None
            mask = self.masks[i]
            x = block(x, cosine, sine, None if mask is None else mask[:T, :T], embeds)
            if i == c.L // 2:
                backout = x
        if c.year == 2026:
            x = x - self.backout_lambda * backout
        z = self.lm_head(norm(x)[:, at])[..., : c.V]
        return 15 * torch.tanh(z / 15)

    def forward(self, ids, targets):
        z = self.logits(ids)
        return F.cross_entropy(z.view(-1, z.shape[-1]), targets.reshape(-1), ignore_index=-1, reduction="none").view_as(targets)


def orthogonal(u, coefficients):
    """Of a stack of matrices [n, rows, cols]; already scaled to a spectral norm of about 1."""
    tall = u.shape[-2] > u.shape[-1]
    u = u.mT if tall else u
    for a, b, c in coefficients:
        A = u @ u.mT
        u = a * u + (b * A + c * (A @ A)) @ u
    return u.mT if tall else u


class Optimizer:
    """AdamW on embeddings, unembedding and scalars, Muon on all matrices inside blocks, in stacks of one shape."""

    def __init__(self, model, batch_scale=1.0, muon_decay=0.28, embedding_lr=None, unembedding_lr=None, matrix_lr=None):
        c = self.config = model.config
        dm = (c.C / 768) ** -0.5
        new = c.year == 2026
        bs = batch_scale
        self.adamw, self.muon, self.state = [], {}, {}
        self.muon_lr, self.muon_decay = (0.02 if matrix_lr is None else matrix_lr) * (bs if new else 1), muon_decay if new else 0
        for name, p in model.named_parameters():
            if name.startswith("transformer.h."):
                self.muon.setdefault(tuple(p.shape), []).append(p)
            elif name.startswith("lm_head"):
                lr = (0.008 if new else 0.004) if unembedding_lr is None else unembedding_lr
                self.adamw.append((p, lr * bs * dm, (0.8, 0.96) if new else (0.8, 0.95), 0.01 if new else 0))
            elif name.startswith("transformer.wte"):
                lr = (0.3 if new else 0.2) if embedding_lr is None else embedding_lr
                self.adamw.append((p, lr * bs * dm, (0.8, 0.995) if new else (0.8, 0.95), 0.001 if new else 0))
            elif name.startswith("value_embeds"):
                self.adamw.append((p, 0.15 * bs * dm, (0.8, 0.995), 0.01))
            elif name == "resid_lambdas":
                self.adamw.append((p, 0.005 * bs, (0.8, 0.95), 0.05))
            elif name == "x0_lambdas":
                self.adamw.append((p, 0.5 * bs, (0.96, 0.95), 0))
            else:
                self.adamw.append((p, 0.2, (0.8, 0.95), 0))

    @torch.no_grad()
    def clip(self, most):
        grads = [p.grad for p, *_ in self.adamw] + [p.grad for group in self.muon.values() for p in group]
        total = torch.stack([g.double().square().sum() for g in grads]).sum().sqrt().item()
        scale = min(1.0, most / (total + 1e-6))
        for g in grads:
            g.mul_(scale)
        return total

    @torch.no_grad()
    def step(self, step, lr_scale, momentum, decay_scale=1.0):
        for p, lr, betas, decay in self.adamw:
            self.adamw_step(p, lr * lr_scale, betas, decay, step + 1)
        for shape, group in self.muon.items():
            self.muon_step(shape, group, self.muon_lr * lr_scale, momentum, self.muon_decay * decay_scale)

    def adamw_step(self, p, lr, betas, decay, t):
        if p not in self.state:
            self.state[p] = torch.zeros_like(p), torch.zeros_like(p)
        m, v = self.state[p]
        p.mul_(1 - lr * decay)
        m.lerp_(p.grad, 1 - betas[0])
        v.lerp_(p.grad.square(), 1 - betas[1])
        p.addcdiv_(m, (v / (1 - betas[1] ** t)).sqrt_().add_(1e-10), value=-lr / (1 - betas[0] ** t))

    def muon_step(self, shape, group, lr, momentum, decay):
        rows, cols = shape
        g = torch.stack([p.grad for p in group])
        if shape not in self.state:
            side = (len(group), rows, 1) if rows >= cols else (len(group), 1, cols)
            self.state[shape] = torch.zeros_like(g), torch.zeros(side)
        buffer, second = self.state[shape]
        buffer.lerp_(g, 1 - momentum)
        u = g.lerp_(buffer, momentum)
        if self.config.year == 2025:
            u = orthogonal(u / (u.norm(dim=(-2, -1), keepdim=True) + 1e-7), NEWTON_SCHULZ)
        else:
            whole = u.norm(dim=(-2, -1), keepdim=True)
            u = u * (whole / math.sqrt(rows) / u.norm(dim=-1, keepdim=True).clamp(min=1e-6))
            u = orthogonal(u / (1.01 * u.norm(dim=(-2, -1), keepdim=True) + 1e-6), POLAR_EXPRESS)
            u = u * (math.sqrt(min(rows, cols)) / u.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-6))
            second.lerp_(u.square().mean(dim=-1 if rows >= cols else -2, keepdim=True), 0.1)
            scaled = u * second.clamp(min=1e-10).rsqrt()
            u = scaled * (u.norm(dim=(-2, -1), keepdim=True) / scaled.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-10))
        lr = lr * math.sqrt(max(1, rows / cols))
        for p, update in zip(group, u):
            if decay:
                p.sub_(lr * decay * p * (update * p >= 0))
            p.sub_(lr * update)


def schedule(year, step, steps):
    """(lr_scale, Muon's momentum, scale of Muon's decay) of a step counted from 0."""
    if year == 2025:
        down = round(0.2 * steps)
        lr = 1.0 if step <= steps - down else (steps - step) / down
        share = min(step / 300, 1)
        return lr, 0.85 * (1 - share) + 0.95 * share, 0.0
    down = round(0.65 * steps)
    left = (steps - step) / down if down else 1.0
    lr = (step + 1) / 40 if step < 40 else 1.0 if step <= steps - down else left + 0.05 * (1 - left)
    end = (step - (steps - down)) / down if down else 0.0
    momentum = 0.85 + 0.12 * step / 400 if step < 400 else 0.97 - 0.07 * end if step >= steps - down else 0.97
    return lr, momentum, 0.5 * (1 + math.cos(math.pi * step / steps))
