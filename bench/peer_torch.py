#!/usr/bin/env python3
"""peer_torch.py THREADS: the training steps of bench/steps.c in PyTorch, for comparison.

Stays alive. Each line of input is "CONFIG DTYPE FORM STEPS"; the answer is one line with the seconds
of each step. DTYPE is f32 or bf16 (autocast), FORM is eager, compiled or blocks (each block under
checkpoint). An empty CONFIG's worth of work is done for "about": the answer names the version.
One model is held at a time, and forms of the same configuration share it.
"""
import contextlib
import os
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

# layers, width, heads, context, batch, vocabulary: as in bench/support/configs.c
GPT = {
    "least": (2, 32, 2, 16, 2, 64),
    "tiny": (4, 128, 4, 64, 8, 256),
    "small": (6, 384, 6, 256, 8, 512),
    "gpt2b1": (12, 768, 12, 256, 1, 50257),
    "gpt2b4": (12, 768, 12, 256, 4, 50257),
}
# width, blocks of each stage, batch, side of an image, classes
RESNET = {
    "resnet-least": (8, (1, 1, 1, 1), 2, 32, 10),
    "resnet18": (64, (2, 2, 2, 2), 32, 64, 1000),
}


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc, self.out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(self.ln_1(x)).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(a.transpose(1, 2).reshape(b, t, c))
        return x + self.out(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, layers, width, heads, context, batch, vocab):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.blocks = False
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)
        i = torch.arange(batch * context + 1)
        ids = (i * i + 7 * i) % vocab
        self.batch = ids[:-1].view(batch, context), ids[1:].view(batch, context)

    def forward(self, ids, targets):
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for block in self.h:
            x = checkpoint(block, x, use_reentrant=False) if self.blocks else block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


class Residual(nn.Module):
    def __init__(self, inside, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride > 1 or inside != width:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, width, blocks, batch, side, classes):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        self.h, inside = nn.ModuleList(), width
        for stage, num in enumerate(blocks):
            for i in range(num):
                self.h.append(Residual(inside, width << stage, 2 if stage and not i else 1))
                inside = width << stage
        self.fc = nn.Linear(inside, classes)
        self.blocks = False
        self.batch = torch.rand(batch, 3, side, side), torch.arange(batch) % classes

    def forward(self, images, targets):
        x = self.stem(images)
        for block in self.h:
            x = checkpoint(block, x, use_reentrant=False) if self.blocks else block(x)
        return F.cross_entropy(self.fc(x.mean((2, 3))), targets)


class Trainer:
    def __init__(self, config):
        self.config = config
        if config in GPT:
            self.model = GPT2(*GPT[config])
        else:
            # The faster of the two layouts for PyTorch on a CPU.
            self.model = ResNet(*RESNET[config]).to(memory_format=torch.channels_last)
            images, targets = self.model.batch
            self.model.batch = images.contiguous(memory_format=torch.channels_last), targets
        self.compiled = torch.compile(self.model)
        self.optim = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=0, fused=True)

    def step(self, dtype, form):
        self.model.blocks = form == "blocks"
        call = self.compiled if form == "compiled" else self.model
        cast = torch.autocast("cpu", torch.bfloat16) if dtype == "bf16" else contextlib.nullcontext()
        begin = time.perf_counter()
        with cast:
            loss = call(*self.model.batch)
        loss.backward()
        self.optim.step()
        self.optim.zero_grad(set_to_none=True)
        return time.perf_counter() - begin


def main():
    torch.set_num_threads(int(sys.argv[1]))
    answers, trainer = os.fdopen(os.dup(1), "w"), None
    os.dup2(2, 1)  # what libraries print must not look like an answer
    for line in sys.stdin:
        if line.strip() == "about":
            print("PyTorch", torch.__version__, file=answers, flush=True)
            continue
        config, dtype, form, steps = line.split()
        if trainer is None or trainer.config != config:
            trainer = None
            torch.manual_seed(1)
            trainer = Trainer(config)
        seconds = [trainer.step(dtype, form) for _ in range(int(steps))]
        print(*(f"{s:.7f}" for s in seconds), file=answers, flush=True)


if __name__ == "__main__":
    main()
