"""Schedule-free SGD in its plainest form (Defazio et al. 2024, arXiv 2405.15682, equations 4 to 6), for tests.

y_t     = (1 - beta) z_t + beta x_t           where the gradient is taken
z_{t+1} = z_t - lr grad f(y_t)
x_{t+1} = (1 - c) x_t + c z_{t+1},  c = 1 / (t + 1)      the weights to use

The parameters hold y in training and x in evaluation; only z is kept beside them, as in its authors' implementation.
"""

import torch


class ScheduleFreeSGD(torch.optim.Optimizer):
    """Refuses a step in the mode `eval`, and counts how often its mode was set."""

    def __init__(self, params, lr=0.1, beta=0.9, **_):
        super().__init__(params, {"lr": lr, "beta": beta, "train_mode": False, "k": 0})
        self.switches = []

    @torch.no_grad()
    def eval(self):
        self.switches.append("eval")
        for group in self.param_groups:
            if group["train_mode"]:
                for p in self._with_z(group):
                    p.lerp_(self.state[p]["z"], 1 - 1 / group["beta"])  # x from y and z
            group["train_mode"] = False

    @torch.no_grad()
    def train(self):
        self.switches.append("train")
        for group in self.param_groups:
            if not group["train_mode"]:
                for p in self._with_z(group):
                    p.lerp_(self.state[p]["z"], 1 - group["beta"])  # y from x and z
            group["train_mode"] = True

    def _with_z(self, group):
        return [p for p in group["params"] if "z" in self.state[p]]

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure() if closure else None
        for group in self.param_groups:
            assert group["train_mode"], "a step in the mode eval"
            c, beta = 1 / (group["k"] + 1), group["beta"]
            for p in group["params"]:
                z = self.state[p].setdefault("z", p.clone())
                x = p.lerp(z, 1 - 1 / beta)
                z.sub_(p.grad, alpha=group["lr"])
                x.lerp_(z, c)
                p.copy_(x.lerp(z, 1 - beta))
            group["k"] += 1
        return loss


class ModeInAnAttribute(ScheduleFreeSGD):
    """Its state dict does not tell its mode, as that of a wrapper around another optimizer may not."""

    is_training = False

    def eval(self):
        self._set(self.is_training)
        super().eval()
        self.is_training = False

    def train(self):
        self._set(self.is_training)
        super().train()
        self.is_training = True

    def step(self, closure=None):
        self._set(self.is_training)
        return super().step(closure)

    def _set(self, mode):
        for group in self.param_groups:
            group["train_mode"] = mode
