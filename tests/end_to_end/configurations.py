"""Configurations that more than one file uses."""

ONE = '''resource "terraform_data" "one" {
  input = "first"
}

output "greeting" {
  value = terraform_data.one.output
}
'''


def slow_plan(steps: int) -> str:
    """A plan that computes for about half a second per step, one after the other.

    A variable's value is unknown to `validate`, so only planning takes the time.
    """
    resources = ['variable "rounds" {\n  type    = number\n  default = 1000\n}\n']
    for step in range(steps):
        after = f"  depends_on = [terraform_data.step{step - 1}]\n" if step else ""
        resources.append(f'resource "terraform_data" "step{step}" {{\n  input = length([for i in range(var.rounds) : '
                         f'[for j in range(50) : sha512("{step} ${{i}} ${{j}}")]])\n{after}}}\n')
    return "\n".join(resources)


def slow_apply(seconds: int) -> str:
    """One resource that is made at once, and one whose making takes a while."""
    return f'''resource "terraform_data" "quick" {{
  input = "made"
}}

resource "terraform_data" "slow" {{
  input = terraform_data.quick.output
  provisioner "local-exec" {{
    command = "echo it has begun; sleep {seconds}"
  }}
}}
'''
